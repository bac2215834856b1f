"""The switch, without a wire: values in, values out.

    reasons   every end that a frame can come to, in one table
    port      what a port is and what can be set on it
    fdb       which address lives behind which port
    state     one bridge: its ports, its FDB, and a generation number
    verdict   what is decided about one frame
    decide    (bridge, ingress, frame, now) -> verdict, changing nothing
    commit    what a verdict teaches the bridge, and ageing
    cache     verdicts kept for the next frame of the same flow
    switch    cache, decide and commit in their order

Nothing here opens a socket, reads a clock or draws a random number; time is an argument, in
seconds of a monotonic clock. The reference is the Linux bridge (net/bridge), so that our switch
and the kernel's are interchangeable; where the two differ the docstring says so.
"""
