"""What is started: the command line, the demo and its report, predictions on disk, and the doctor."""
