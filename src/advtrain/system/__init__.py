"""What touches the machine: errors as one line, and the device."""
