"""The mechanism that the public modules are made with: nothing here is public."""
