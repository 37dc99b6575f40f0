"""Reading files of strangers: in a worker process with hard limits, which may die without harm to anybody else.

A decoder is a large body of C code that a file steers. Here it runs in a process that holds nothing but the one file:

    readers.py        in the server: hands a file over, waits, takes the answer or says what happened
    template.py       a warm process that reads nothing; each file gets a copy of it, which ends with that file
    confinement.py    what a copy gives up before it reads: memory, time, files, network, further processes
    syscall_filter.py which system calls are left to it
    shared_memory.py  memory that both see, in which pictures come back without being copied
    messages.py       requests and answers as JSON; nothing that comes back is trusted

It needs Linux. `Readers` reads in this process elsewhere, and says so.
"""

from sifa_core.data.isolated.readers import Readers, shared_readers
from sifa_core.data.isolated.worker_limits import WorkerLimits

__all__ = ["Readers", "WorkerLimits", "shared_readers"]
