"""A C++ exception out of a call that the extension makes, in each process of a server."""

import subprocess

from support.harness import new_directory

# time() is what every sealing calls. PostgreSQL's own calls of it throw nothing.
SOURCE = r"""
#include <dlfcn.h>
#include <new>
#include <string_view>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

extern "C" time_t time(time_t *result)
{
	Dl_info caller;
	if (dladdr(__builtin_return_address(0), &caller) != 0 &&
		std::string_view(caller.dli_fname).ends_with("/oauth_tokens.so") && access(SWITCH, F_OK) == 0)
		throw std::bad_alloc();
	return static_cast<time_t>(syscall(SYS_time, result));
}
"""


class ThrownException:
    """`env` goes into the environment of the server."""

    def __init__(self):
        path = new_directory("throw")
        path.chmod(0o755)
        self._switch = path / "switch"
        (path / "throw.cpp").write_text(SOURCE)
        subprocess.run(["c++", "-std=c++20", "-shared", "-fPIC", "-O1", f'-DSWITCH="{self._switch}"',
                        "-o", path / "throw.so", path / "throw.cpp", "-ldl"], check=True)
        self.env = {"LD_PRELOAD": str(path / "throw.so")}

    def __enter__(self):
        self._switch.touch()

    def __exit__(self, *_):
        self._switch.unlink()
