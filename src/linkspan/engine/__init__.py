"""Where values meet the operating system: rtnetlink, taps, sockets, the switch process."""
