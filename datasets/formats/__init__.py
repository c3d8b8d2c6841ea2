"""One safe reader a format. Runs only inside the sandboxed child."""
