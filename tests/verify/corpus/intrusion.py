"""Attacks on what lies outside: files, /proc, the environment, the network."""

from corpus.attack import SECRET, Attack, R, T, V, W, escape


def _deed(name: str, tries: str, *lines: str, imports: str = "os") -> Attack:
    """A deed that raises where it is refused."""
    body = "".join(f"    {line}\n" for line in lines)
    return escape(name, tries, f"import {imports}\ndef solve(c):\n{body}    return 'escaped'\n")


def _theft(name: str, tries: str, code: str) -> Attack:
    return Attack(name, tries, code, frozenset({W, R, V, T}), SECRET)


FILES = [
    _deed("write_file", "writes a file", "open(c['folder'] + '/new', 'w').write('x')"),
    _deed("write_tmp", "writes to /tmp", "open('/tmp/' + c['token'], 'w').write('x')"),
    _deed("write_shm", "writes to /dev/shm", "open('/dev/shm/' + c['token'], 'w').write('x')"),
    _deed("write_here", "writes to its working folder", "open(c['token'], 'w').write('x')"),
    _deed(
        "write_home",
        "writes to the home folder",
        "open(os.path.expanduser('~/') + c['token'], 'w').write('x')",
    ),
    _deed(
        "write_library",
        "plants a module in the standard library",
        "open(os.path.dirname(os.__file__) + '/' + c['token'] + '.py', 'w').write('x')",
    ),
    _deed(
        "temporary_file",
        "makes a temporary file",
        "tempfile.NamedTemporaryFile(prefix=c['token'], delete=False)",
        imports="tempfile",
    ),
    _deed(
        "database",
        "makes a database",
        "sqlite3.connect(c['folder'] + '/new').execute('create table t(x)')",
        imports="sqlite3",
    ),
    _deed("overwrite_file", "overwrites a file", "open(c['file'], 'w').write('x')"),
    _deed("append_file", "appends to a file", "open(c['file'], 'a').write('x')"),
    _deed("truncate_file", "cuts a file", "os.truncate(c['file'], 0)"),
    _deed("remove_file", "removes a file", "os.remove(c['file'])"),
    _deed("rename_file", "renames a file", "os.rename(c['file'], c['file'] + '2')"),
    _deed("make_folder", "makes a folder", "os.mkdir(c['folder'] + '/new')"),
    _deed("remove_folder", "removes a folder", "os.rmdir(c['folder'] + '/empty')"),
    _deed("symlink", "makes a symbolic link", "os.symlink('/etc/passwd', c['folder'] + '/new')"),
    _deed("hard_link", "makes a hard link", "os.link(c['file'], c['folder'] + '/new')"),
    _deed("fifo", "makes a named pipe", "os.mkfifo(c['folder'] + '/new')"),
    _deed("device", "makes a device", "os.mknod(c['folder'] + '/new', 0o600 | 0o020000, 0x103)"),
    _deed("chmod", "changes permissions", "os.chmod(c['file'], 0o777)"),
    _deed("chmod_folder", "changes permissions of a folder", "os.chmod(c['folder'], 0o777)"),
    _deed("chown", "changes the owner", "os.chown(c['file'], os.getuid(), os.getgid())"),
    _deed("time_stamps", "changes time stamps", "os.utime(c['file'], (1, 1))"),
    _deed("attributes", "sets an extended attribute", "os.setxattr(c['file'], 'user.x', b'x')"),
    _deed(
        "lock_file",
        "locks a shared file",
        "fcntl.flock(os.open(c['file'], 0), 2)",
        imports="fcntl, os",
    ),
    _deed("read_project", "reads the project's source", "open(c['project']).read()"),
    _deed("read_file", "reads a file of the user", "open(c['file']).read()"),
    _deed("read_passwd", "reads /etc/passwd", "open('/etc/passwd').read()"),
    _deed("read_shadow", "reads /etc/shadow", "open('/etc/shadow').read()"),
    _deed("list_folder", "lists a folder", "os.listdir(c['folder'])"),
    _deed("list_root", "lists the root", "os.listdir('/')"),
    _deed(
        "watch_folder",
        "opens a folder to watch it",
        "os.open(c['folder'], os.O_RDONLY | os.O_DIRECTORY)",
    ),
    _deed("chroot", "changes its root", "os.chroot(c['folder'])"),
    _deed("terminal", "opens the terminal", "open('/dev/tty', 'w').write('x')"),
    _deed("kernel_memory", "opens the memory of the machine", "open('/dev/mem', 'rb').read(1)"),
    _deed(
        "import_from_folder",
        "loads a compiled module from a folder of its choice",
        "sys.path.insert(0, c['folder'])",
        "import planted_module",
        imports="sys",
    ),
    _deed(
        "site_packages",
        "imports a package that is installed beside us",
        "sys.path.append(c['packages'])",
        "import hypothesis",
        imports="sys",
    ),
    _deed(
        "import_project",
        "imports the project, whose package may hold hidden tests",
        "sys.path.append(os.path.dirname(os.path.dirname(c['project'])))",
        "import axiom_rl.types",
        imports="os, sys",
    ),
    _deed(
        "server_source",
        "imports the server's own code afresh",
        "sys.path.append(os.path.dirname(os.path.dirname(c['project'])) + '/axiom_rl/sandbox')",
        "[sys.modules.pop(name) for name in list(sys.modules) if name.startswith('child')]",
        "import child.server",
        imports="os, sys",
    ),
]

PROC = [
    _deed("own_memory", "writes to its memory through /proc", "open('/proc/self/mem', 'r+b')"),
    _deed("parent_memory", "opens the parent's memory", "open(f'/proc/{c[\"parent\"]}/mem', 'rb')"),
    _deed("server_memory", "opens the server's memory", "open(f'/proc/{os.getppid()}/mem', 'r+b')"),
    _deed(
        "parent_command",
        "reads the parent's command line",
        "open(f'/proc/{c[\"parent\"]}/cmdline').read()",
    ),
    _deed(
        "parent_descriptors",
        "lists the parent's descriptors",
        "os.listdir(f'/proc/{c[\"parent\"]}/fd')",
    ),
    _deed(
        "server_descriptors",
        "opens a descriptor of the server",
        "open(f'/proc/{os.getppid()}/fd/0').fileno()",
    ),
    _deed("list_processes", "lists the processes of the machine", "os.listdir('/proc')"),
    _deed(
        "out_of_memory_score",
        "makes itself the last to be killed",
        "open('/proc/self/oom_score_adj', 'w').write('-1000')",
    ),
    _deed(
        "out_of_memory_parent",
        "makes the parent the first to be killed",
        "open(f'/proc/{c[\"parent\"]}/oom_score_adj', 'w').write('1000')",
    ),
    _deed(
        "kernel_settings",
        "changes a kernel setting",
        "open('/proc/sys/kernel/core_pattern', 'a').write('')",
    ),
    _deed(
        "control_group",
        "writes to a control group",
        "open('/sys/fs/cgroup/cgroup.procs', 'w').write('0')",
    ),
    _theft(
        "secret_in_environment",
        "reads the environment",
        "import os\ndef solve(c):\n    return os.environ['AXIOM_TEST_SECRET']\n",
    ),
    _theft(
        "secret_in_own_proc",
        "reads the environment it was started with",
        """
def solve(c):
    for pid in ("self", "thread-self", "1"):
        text = open(f"/proc/{pid}/environ", "rb").read()
        if b"AXIOM_TEST_SECRET=" in text:
            return text.split(b"AXIOM_TEST_SECRET=")[1].split(b"\\0")[0].decode()
""",
    ),
    _theft(
        "secret_in_parents_proc",
        "reads the parent's environment",
        """
import os
def solve(c):
    for pid in (c["parent"], os.getppid()):
        text = open(f"/proc/{pid}/environ", "rb").read()
        if b"AXIOM_TEST_SECRET=" in text:
            return text.split(b"AXIOM_TEST_SECRET=")[1].split(b"\\0")[0].decode()
""",
    ),
    _theft(
        "secret_in_memory",
        "searches its stack and heap for the secret's name",
        """
import ctypes
def solve(c):
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_char_p
    found = libc.getenv(b"AXIOM_TEST_SECRET")
    if found: return found.decode()
    environ = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, "environ")
    at = ctypes.cast(environ[0], ctypes.c_void_p).value if environ[0] else id(c)
    text = ctypes.string_at(at, 512)
    return text.split(b"AXIOM_TEST_SECRET=")[1].split(b"\\0")[0].decode()
""",
    ),
    _theft(
        "secret_in_modules",
        "searches modules and objects for the secret's name",
        """
import gc, os, sys
def solve(c):
    for thing in gc.get_objects():
        if type(thing) is dict:
            for key in ("AXIOM_TEST_SECRET", b"AXIOM_TEST_SECRET"):
                if key in thing:
                    value = thing[key]
                    return value if type(value) is str else value.decode()
""",
    ),
]

NETWORK = [
    _deed(
        "tcp",
        "connects to a port",
        "socket.create_connection(('127.0.0.1', c['port']), 1)",
        imports="socket",
    ),
    _deed(
        "udp",
        "sends a datagram",
        "sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
        "sender.sendto(b'escaped', ('127.0.0.1', c['udp']))",
        imports="socket",
    ),
    _deed("tcp6", "makes an IPv6 socket", "socket.socket(socket.AF_INET6)", imports="socket"),
    _deed("listen", "listens", "socket.create_server(('127.0.0.1', 0))", imports="socket"),
    _deed(
        "unix_path",
        "connects to a socket in the file system",
        "socket.socket(socket.AF_UNIX).connect(c['unix'])",
        imports="socket",
    ),
    _deed(
        "unix_abstract",
        "connects to an abstract socket",
        "socket.socket(socket.AF_UNIX).connect(c['abstract'])",
        imports="socket",
    ),
    _deed(
        "unix_bind",
        "binds an abstract socket",
        "socket.socket(socket.AF_UNIX).bind('\\0' + c['token'])",
        imports="socket",
    ),
    _deed(
        "raw_socket",
        "makes a raw socket",
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
        imports="socket",
    ),
    _deed(
        "packet_socket",
        "makes a packet socket",
        "socket.socket(17, socket.SOCK_RAW)",
        imports="socket",
    ),
    _deed(
        "netlink",
        "asks the kernel by netlink",
        "socket.socket(16, socket.SOCK_RAW, 0)",
        imports="socket",
    ),
    _deed(
        "vsock",
        "makes a socket to the host",
        "socket.socket(40, socket.SOCK_STREAM)",
        imports="socket",
    ),
    _deed(
        "kernel_crypto",
        "makes a crypto socket",
        "socket.socket(38, socket.SOCK_SEQPACKET)",
        imports="socket",
    ),
    _deed(
        "names",
        "looks up a name",
        "socket.getaddrinfo('localhost', 80)",
        "socket.socket()",
        imports="socket",
    ),
    _deed(
        "http",
        "fetches a page",
        "urllib.request.urlopen(f'http://127.0.0.1:{c[\"port\"]}/', timeout=1)",
        imports="urllib.request",
    ),
    _deed(
        "xml_rpc",
        "calls a server",
        "xmlrpc.client.ServerProxy(f'http://127.0.0.1:{c[\"port\"]}').x()",
        imports="xmlrpc.client",
    ),
    escape(
        "asyncio_server",
        "serves with asyncio",
        """
import asyncio
async def serve():
    await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    return "escaped"
def solve(c):
    return asyncio.run(serve())
""",
    ),
    escape(
        "inherited_socket",
        "finds a socket that it was born with and talks to it",
        """
import os, stat
def solve(c):
    for fd in range(4096):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                os.write(fd, b"\\xff" * 64)
                return "escaped"
        except OSError:
            pass
""",
    ),
    escape(
        "inherited_descriptors",
        "finds a descriptor beyond its input, outputs and result",
        """
import os
def solve(c):
    for fd in range(4, 4096):
        try:
            os.fstat(fd)
            return "escaped"
        except OSError:
            pass
""",
    ),
]

INTRUSION: list[Attack] = [*FILES, *PROC, *NETWORK]
