"""A CLOCK_BOOTTIME that a test moves on, for one process: the time for which a machine sleeps."""

import subprocess

from support.harness import new_directory

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t id, struct timespec *time)
{
	static int (*real)(clockid_t, struct timespec *);
	if (real == NULL)
		real = dlsym(RTLD_NEXT, "clock_gettime");
	int result = real(id, time);
	if (result == 0 && id == CLOCK_BOOTTIME) {
		FILE *file = fopen(getenv("BOOT_CLOCK_FILE"), "r");
		long seconds = 0;
		if (file != NULL) {
			if (fscanf(file, "%ld", &seconds) == 1)
				time->tv_sec += seconds;
			fclose(file);
		}
	}
	return result;
}
"""


class BootClock:
    """`settings` go into the environment of the process."""

    def __init__(self):
        path = new_directory("boot")
        path.chmod(0o755)
        (path / "clock.c").write_text(SOURCE)
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", path / "clock.so", path / "clock.c", "-ldl"], check=True)
        self._file = path / "seconds"
        self._file.write_text("0\n")
        self.settings = {"LD_PRELOAD": path / "clock.so", "BOOT_CLOCK_FILE": self._file}

    def move_on(self, seconds):
        self._file.write_text(f"{seconds}\n")
