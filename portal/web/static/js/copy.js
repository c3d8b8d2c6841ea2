/* Copy buttons: hidden until a script can serve them. */
export function offerCopy(button) {
  if (!navigator.clipboard) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    const label = button.querySelector(".visually-hidden");
    const before = label.textContent;
    label.textContent = "Copied";
    button.dataset.copied = "";
    setTimeout(() => { label.textContent = before; delete button.dataset.copied; }, 2000);
  });
}
