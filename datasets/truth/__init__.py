"""The protected room of the hidden truth; README.md says who may enter."""
