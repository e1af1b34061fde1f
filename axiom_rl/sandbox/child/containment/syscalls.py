"""Which system calls a candidate may make, and their numbers on x86-64 and 64-bit ARM.

Default deny. What is in no list fails with EPERM; KILLED ends the process with SIGSYS, which is
reported as a security violation; MISSING fails with ENOSYS, so that the C library falls back to an
older call that the filter can judge.
"""

from __future__ import annotations

ALLOWED = """
    read write readv writev pread64 pwrite64 preadv pwritev lseek close dup dup2 dup3
    open openat stat fstat lstat newfstatat statx statfs fstatfs access faccessat faccessat2
    readlink readlinkat getdents getdents64 getcwd fadvise64 umask
    pipe pipe2 poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait
    epoll_pwait eventfd2 getsockname getpeername shutdown
    mmap munmap mprotect mremap madvise brk membarrier
    futex set_robust_list rseq set_tid_address arch_prctl sched_yield
    rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend
    sigaltstack pause restart_syscall
    nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time times alarm
    setitimer getitimer timer_settime timer_gettime timer_delete
    getpid gettid getppid getuid geteuid getgid getegid getresuid getresgid getgroups getpgid
    getpgrp getsid getrusage getrlimit getpriority sched_getaffinity sched_getparam
    sched_getscheduler sched_get_priority_max sched_get_priority_min getcpu capget
    uname sysinfo getrandom exit exit_group wait4 waitid
""".split()  # noqa: SIM905
"""Allowed whatever the arguments. Files are Landlock's business: seccomp cannot read a path."""

JUDGED = ["clone", "kill", "tgkill", "tkill", "prctl", "prlimit64", "setrlimit"]
"""Allowed to the server; in a candidate it depends on the arguments."""

SERVER_ONLY = ["memfd_create", "pidfd_open", "seccomp"]
"""What the server and a child about to lock itself need."""

KILLED = """
    connect bind listen accept accept4
    execve execveat ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_getfd
    mount umount2 pivot_root chroot unshare setns fsopen fsconfig fsmount fspick open_tree
    move_mount mount_setattr name_to_handle_at open_by_handle_at
    bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register
    add_key request_key keyctl shmget shmat shmctl semget semctl semop msgget msgsnd msgrcv msgctl
    mq_open init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff
    acct quotactl settimeofday clock_settime clock_adjtime adjtimex sethostname setdomainname
    setuid setgid setreuid setregid setresuid setresgid setgroups capset syslog vhangup
    iopl ioperm modify_ldt fanotify_init lookup_dcookie memfd_secret
""".split()  # noqa: SIM905

MISSING = ["clone3", "openat2", "epoll_pwait2"]

IOCTLS = {
    0x5401: "TCGETS",
    0x802C542A: "TCGETS2",
    0x5413: "TIOCGWINSZ",
    0x541B: "FIONREAD",
    0x5421: "FIONBIO",
    0x5450: "FIONCLEX",
    0x5451: "FIOCLEX",
}
"""Is it a terminal, how wide is it, how much can be read; flags of one's own descriptors."""

FCNTLS = {
    0: "F_DUPFD",
    1: "F_GETFD",
    2: "F_SETFD",
    3: "F_GETFL",
    4: "F_SETFL",
    1030: "F_DUPFD_CLOEXEC",
    1032: "F_GETPIPE_SZ",
}
"""Not F_SETOWN, which makes the kernel send signals to other processes."""

PRCTLS = {
    3: "PR_GET_DUMPABLE",
    15: "PR_SET_NAME",
    16: "PR_GET_NAME",
    39: "PR_GET_NO_NEW_PRIVS",
    0x53564D41: "PR_SET_VMA",
}

_X86_64 = """
    read 0 write 1 open 2 close 3 stat 4 fstat 5 lstat 6 poll 7 lseek 8 mmap 9 mprotect 10
    munmap 11 brk 12 rt_sigaction 13 rt_sigprocmask 14 rt_sigreturn 15 ioctl 16 pread64 17
    pwrite64 18 readv 19 writev 20 access 21 pipe 22 select 23 sched_yield 24 mremap 25 madvise 28
    shmget 29 shmat 30 shmctl 31 dup 32 dup2 33 pause 34 nanosleep 35 getitimer 36 alarm 37
    setitimer 38 getpid 39 socket 41 connect 42 accept 43 sendto 44 recvfrom 45 shutdown 48 bind 49
    listen 50 getsockname 51 getpeername 52 socketpair 53 getsockopt 55 clone 56 execve 59 exit 60
    wait4 61 kill 62 uname 63 semget 64 semop 65 semctl 66 msgget 68 msgsnd 69 msgrcv 70 msgctl 71
    fcntl 72 getdents 78 getcwd 79 readlink 89 umask 95 gettimeofday 96 getrlimit 97 getrusage 98
    sysinfo 99 times 100 ptrace 101 getuid 102 syslog 103 getgid 104 setuid 105 setgid 106
    geteuid 107 getegid 108 getppid 110 getpgrp 111 setreuid 113 setregid 114 getgroups 115
    setgroups 116 setresuid 117 getresuid 118 setresgid 119 getresgid 120 getpgid 121 getsid 124
    capget 125 capset 126 rt_sigpending 127 rt_sigtimedwait 128 rt_sigsuspend 130 sigaltstack 131
    statfs 137 fstatfs 138 getpriority 140 sched_getparam 143 sched_getscheduler 145
    sched_get_priority_max 146 sched_get_priority_min 147 vhangup 153 modify_ldt 154 pivot_root 155
    prctl 157 arch_prctl 158 adjtimex 159 setrlimit 160 chroot 161 acct 163 settimeofday 164
    mount 165 umount2 166 swapon 167 swapoff 168 reboot 169 sethostname 170 setdomainname 171
    iopl 172 ioperm 173 init_module 175 delete_module 176 quotactl 179 gettid 186 tkill 200
    time 201 futex 202 sched_getaffinity 204 lookup_dcookie 212 epoll_create 213 getdents64 217
    set_tid_address 218 restart_syscall 219 fadvise64 221 timer_create 222 timer_settime 223
    timer_gettime 224 timer_delete 226 clock_settime 227 clock_gettime 228 clock_getres 229
    clock_nanosleep 230 exit_group 231 epoll_wait 232 epoll_ctl 233 tgkill 234 mq_open 240
    kexec_load 246 waitid 247 add_key 248 request_key 249 keyctl 250 openat 257 newfstatat 262
    readlinkat 267 faccessat 269 pselect6 270 ppoll 271 unshare 272 set_robust_list 273
    epoll_pwait 281 accept4 288 eventfd2 290 epoll_create1 291 dup3 292 pipe2 293 preadv 295
    pwritev 296 perf_event_open 298 fanotify_init 300 prlimit64 302 name_to_handle_at 303
    open_by_handle_at 304 clock_adjtime 305 setns 308 getcpu 309 process_vm_readv 310
    process_vm_writev 311 kcmp 312 finit_module 313 seccomp 317 getrandom 318 memfd_create 319
    kexec_file_load 320 bpf 321 execveat 322 userfaultfd 323 membarrier 324 statx 332 rseq 334
"""

_AARCH64 = """
    epoll_create1 20 epoll_ctl 21 epoll_pwait 22 dup 23 dup3 24 fcntl 25 ioctl 29 umount2 39
    mount 40 pivot_root 41 statfs 43 fstatfs 44 faccessat 48 chroot 51 openat 56 close 57
    vhangup 58 pipe2 59 quotactl 60 getdents64 61 lseek 62 read 63 write 64 readv 65 writev 66
    pread64 67 pwrite64 68 preadv 69 pwritev 70 pselect6 72 ppoll 73 readlinkat 78 newfstatat 79
    fstat 80 acct 89 capget 90 capset 91 exit 93 exit_group 94 waitid 95 set_tid_address 96
    unshare 97 futex 98 set_robust_list 99 nanosleep 101 getitimer 102 setitimer 103
    kexec_load 104 init_module 105 delete_module 106 timer_create 107 timer_gettime 108
    timer_settime 110 timer_delete 111 clock_settime 112 clock_gettime 113 clock_getres 114
    clock_nanosleep 115 syslog 116 ptrace 117 sched_getscheduler 120 sched_getparam 121
    sched_getaffinity 123 sched_yield 124 sched_get_priority_max 125 sched_get_priority_min 126
    restart_syscall 128 kill 129 tkill 130 tgkill 131 sigaltstack 132 rt_sigsuspend 133
    rt_sigaction 134 rt_sigprocmask 135 rt_sigpending 136 rt_sigtimedwait 137 rt_sigreturn 139
    getpriority 141 reboot 142 setregid 143 setgid 144 setreuid 145 setuid 146 setresuid 147
    getresuid 148 setresgid 149 getresgid 150 times 153 getpgid 155 getsid 156 getgroups 158
    setgroups 159 uname 160 sethostname 161 setdomainname 162 getrlimit 163 setrlimit 164
    getrusage 165 umask 166 prctl 167 getcpu 168 gettimeofday 169 settimeofday 170 adjtimex 171
    getpid 172 getppid 173 getuid 174 geteuid 175 getgid 176 getegid 177 gettid 178 sysinfo 179
    mq_open 180 msgget 186 msgctl 187 msgrcv 188 msgsnd 189 semget 190 semctl 191 semop 193
    shmget 194 shmctl 195 shmat 196 socket 198 socketpair 199 bind 200 listen 201 accept 202
    connect 203 getsockname 204 getpeername 205 sendto 206 recvfrom 207 getsockopt 209 shutdown 210
    brk 214 munmap 215 mremap 216 add_key 217 request_key 218 keyctl 219 clone 220 execve 221
    mmap 222 fadvise64 223 swapon 224 swapoff 225 mprotect 226 madvise 233 perf_event_open 241
    accept4 242 wait4 260 prlimit64 261 fanotify_init 262 name_to_handle_at 264
    open_by_handle_at 265 clock_adjtime 266 setns 268 process_vm_readv 270 process_vm_writev 271
    kcmp 272 finit_module 273 seccomp 277 getrandom 278 memfd_create 279 bpf 280 execveat 281
    userfaultfd 282 membarrier 283 statx 291 rseq 293 kexec_file_load 294 lookup_dcookie 18
    eventfd2 19 getcwd 17
"""

_BOTH = """
    io_uring_setup 425 io_uring_enter 426 io_uring_register 427 open_tree 428 move_mount 429
    fsopen 430 fsconfig 431 fsmount 432 fspick 433 pidfd_open 434 clone3 435 close_range 436
    openat2 437 pidfd_getfd 438 faccessat2 439 process_madvise 440 epoll_pwait2 441
    mount_setattr 442 memfd_secret 447
"""


def _table(text: str) -> dict[str, int]:
    words = (text + _BOTH).split()
    return dict(zip(words[::2], map(int, words[1::2]), strict=True))


NUMBERS = {"x86_64": _table(_X86_64), "aarch64": _table(_AARCH64)}
"""Numbers by name; a name that a machine lacks has no call there."""
