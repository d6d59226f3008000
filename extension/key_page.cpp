#include "key_page.hpp"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <new>

#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "postgres.hpp"

extern "C" {
#include "postmaster/interrupt.h"
#include "postmaster/postmaster.h"
}

namespace oauth_tokens
{

namespace
{

constexpr std::size_t kPageBytes = 4096;

// The broken source that the log has told of last.
struct Refusal {
	decltype(KeySet::fault) fault;
	decltype(KeySet::digest) digest;
};

// Two sets in turn: a writer fills the one that is not current and then counts
// the generation up, so that readers take no lock. `writer` keeps two processes
// from writing at once, and names its holder because one that was killed must
// not keep the page for ever: it outlives a crash restart.
struct KeyPage {
	std::atomic<std::uint64_t> generation;
	std::atomic<pid_t> writer;
	std::atomic<TimestampTz> read_at; // when a source was read last
	// The postmaster re-reads the key file at each reload. It does where the
	// setting stands in a configuration file.
	std::atomic<bool> postmaster_reads;
	KeySet sets[2];
	Refusal refusal;

	KeySet &current() noexcept { return sets[generation.load(std::memory_order_acquire) & 1]; }
	KeySet &spare() noexcept { return sets[(generation.load(std::memory_order_acquire) + 1) & 1]; }
};
static_assert(sizeof(KeyPage) <= kPageBytes);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

char *key_file = nullptr;
char *key_command = nullptr;
KeyPage *page = nullptr;
bool page_is_shared = false;

bool claim_writer() noexcept
{
	pid_t holder = 0;
	if (page->writer.compare_exchange_strong(holder, ::getpid()))
		return true;
	const bool holder_is_dead = ::kill(holder, 0) != 0 && errno == ESRCH;
	return holder_is_dead && page->writer.compare_exchange_strong(holder, ::getpid());
}

bool same_source(const KeySet &a, const KeySet &b) noexcept
{
	return a.digest == b.digest && a.fault == b.fault;
}

void warn_of_open_file(const char *path)
{
	struct stat status;
	if (::stat(path, &status) == 0 && (status.st_mode & S_IRWXO) != 0)
		ereport(LOG, (errmsg("key file \"%s\" is open to every user of this machine", path),
					  errhint("Take the rights of others away: chmod o= \"%s\".", path)));
}

// Every session comes by after a reload, and the log is to tell it once. The
// postmaster comes first and once a reload, so it is not held back.
void log_refusal(const char *path, const KeySet &broken)
{
	Refusal &last = page->refusal;
	if (IsUnderPostmaster && last.fault == broken.fault && last.digest == broken.digest)
		return;
	last = {broken.fault, broken.digest};
	ereport(LOG, (errmsg("key file \"%s\" was not taken over: %s", path, broken.fault.data()),
				  errdetail("The key ring that was loaded before stays in use.")));
}

// Reads the key file again. A broken one is refused with a line in the log and
// the old ring stays. No allocation and no ereport above LOG: this runs in the
// postmaster, too.
void reload_key_file(const char *path) noexcept
{
	if (path == nullptr || path[0] == '\0' || !claim_writer())
		return;
	KeySet &spare = page->spare();
	read_key_file(path, spare);
	if (spare.state != KeyState::ready && page->current().state == KeyState::ready) {
		log_refusal(path, spare);
	} else {
		page->refusal = {};
		if (!same_source(spare, page->current())) {
			page->generation.fetch_add(1, std::memory_order_acq_rel);
			warn_of_open_file(path);
		}
		// The old set is wiped below, for readers no sooner than they can see that.
		std::atomic_thread_fence(std::memory_order_seq_cst);
	}
	page->spare().wipe();
	page->read_at.store(GetCurrentTimestamp());
	page->writer.store(0, std::memory_order_release);
}

// Runs in every process at every reload, while the setting stands in a
// configuration file; the postmaster's turn comes before it tells the others.
void key_file_assigned(const char *newval, void *)
{
	if (page == nullptr || !IsPostmasterEnvironment || IsUnderPostmaster)
		return;
	page->postmaster_reads.store(true);
	reload_key_file(newval);
}

void define_settings()
{
	DefineCustomStringVariable(
		"oauth_tokens.key_file", "File with the Fernet keys, separated by commas or line ends.",
		"The first key encrypts, all decrypt. Read at start and at each reload.", &key_file, "",
		PGC_SIGHUP, GUC_SUPERUSER_ONLY, nullptr, key_file_assigned, nullptr);
	// A server-start setting; the lazy load of a library cannot define one.
	DefineCustomStringVariable(
		"oauth_tokens.key_command", "Shell command that prints the Fernet keys at server start.",
		"Used where key_file is not set; needs shared_preload_libraries.", &key_command, "",
		process_shared_preload_libraries_in_progress ? PGC_POSTMASTER : PGC_SIGHUP,
		GUC_SUPERUSER_ONLY, nullptr, nullptr, nullptr);
	MarkGUCPrefixReserved("oauth_tokens");
}

void make_page(bool shared)
{
	void *memory = ::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE,
						  MAP_ANONYMOUS | (shared ? MAP_SHARED : MAP_PRIVATE), -1, 0);
	if (memory == MAP_FAILED)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY),
						errmsg("could not map a page for the encryption keys: %m")));
	if (::madvise(memory, kPageBytes, MADV_DONTDUMP) != 0)
		ereport(LOG, (errmsg("could not keep the encryption keys out of core dumps: %m")));
	if (::mlock(memory, kPageBytes) != 0)
		ereport(LOG, (errmsg("could not lock the encryption keys into memory: %m"),
					  errhint("Raise the limit RLIMIT_MEMLOCK of the server.")));
	page = new (memory) KeyPage{};
	page_is_shared = shared;
}

void fill_page(bool preloaded)
{
	KeySet &ring = page->current();
	// Taken away from the environment in any case, used where nothing else is set.
	take_key_variable(preloaded, ring);
	if (key_file[0] != '\0') {
		read_key_file(key_file, ring);
		warn_of_open_file(key_file);
	} else if (key_command[0] != '\0' && preloaded) {
		run_key_command(key_command, ring);
	} else if (key_command[0] != '\0') {
		ring.wipe();
		strlcpy(ring.fault.data(),
				"oauth_tokens.key_command runs at server start only, and needs oauth_tokens in "
				"shared_preload_libraries",
				ring.fault.size());
	}
	if (preloaded && ring.state != KeyState::ready)
		ereport(LOG, (errmsg("oauth_tokens has no usable encryption key: %s", ring.fault.data()),
					  errdetail("Functions that need a key will raise an error.")));
	page->read_at.store(GetCurrentTimestamp());
}

} // namespace

void key_page_init()
{
	const bool preloaded = process_shared_preload_libraries_in_progress;
	define_settings();
	make_page(preloaded);
	fill_page(preloaded);
}

std::uint64_t key_page_generation() noexcept
{
	// With the setting on the command line, or without preload, nobody reads the
	// file for us: the first to come by after a reload does, as each session
	// does with postgresql.conf. A page of our own must not wait for the end of
	// a long CALL to see it.
	const bool reloaded = PgReloadTime > page->read_at.load(std::memory_order_relaxed) ||
						  (unlikely(ConfigReloadPending) && !page_is_shared);
	if (unlikely(reloaded) && !page->postmaster_reads.load())
		reload_key_file(key_file);
	return page->generation.load(std::memory_order_acquire);
}

std::uint64_t key_page_read(KeySet &out) noexcept
{
	for (;;) {
		const std::uint64_t before = page->generation.load(std::memory_order_acquire);
		std::memcpy(static_cast<void *>(&out), &page->sets[before & 1], sizeof out);
		std::atomic_thread_fence(std::memory_order_acquire);
		// The set that was copied is overwritten only after a newer one stands.
		if (page->generation.load(std::memory_order_relaxed) == before)
			return before;
	}
}

} // namespace oauth_tokens
