"""The chain's components, one file each, in TFX's names; `pipelines.chain` imports what runs."""
