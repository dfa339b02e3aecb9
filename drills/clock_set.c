/* Preloaded into a process of a drill or a test: its wall clock shows what the file that CLOCK_SET_BY names
 * says in its first eight octets, a double of seconds ahead of the kernel's. So it can be set while the
 * process runs. Uptime and timers stay as they are, as when a real clock is set; and no time service keeps it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

static const volatile double *ahead;

__attribute__((constructor)) static void open_file(void)
{
	const char *path = getenv("CLOCK_SET_BY");
	int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *page = file < 0 ? MAP_FAILED : mmap(NULL, sizeof(double), PROT_READ, MAP_SHARED, file, 0);

	if (page != MAP_FAILED)
		ahead = page;
	if (file >= 0)
		close(file);
}

int clock_gettime(clockid_t which, struct timespec *shown)
{
	int failed = (int)syscall(SYS_clock_gettime, which, shown);

	if (failed == 0 && ahead && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) {
		double by = *ahead, whole = floor(by);
		long rest = shown->tv_nsec + (long)((by - whole) * 1e9);

		shown->tv_sec += (time_t)whole + rest / 1000000000;
		shown->tv_nsec = rest % 1000000000;
	}
	return failed;
}

time_t time(time_t *shown)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (shown)
		*shown = now.tv_sec;
	return now.tv_sec;
}

int gettimeofday(struct timeval *restrict shown, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	shown->tv_sec = now.tv_sec;
	shown->tv_usec = now.tv_nsec / 1000;
	return 0;
}

int adjtimex(struct timex *told)
{
	int state = (int)syscall(SYS_adjtimex, told);

	told->status |= STA_UNSYNC;
	return state < 0 ? state : TIME_ERROR;
}
