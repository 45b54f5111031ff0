"""What the detector finds, whom it accuses wrongly, and what it costs."""
