#include "keys/key_ring_reload.hpp"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <new>
#include <span>

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "postgres/compat.hpp"
#include "settings.hpp"

extern "C" {
#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
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
struct KeySharedMemory {
	std::atomic<std::uint64_t> generation;
	std::atomic<pid_t> writer;
	std::atomic<TimestampTz> read_at; // when a source was read last
	// The postmaster re-reads the key file at each reload. It does if the
	// setting stands in a configuration file.
	std::atomic<bool> postmaster_reads;
	KeySet sets[2];
	Refusal refusal;

	KeySet &current() noexcept { return sets[generation.load(std::memory_order_acquire) & 1]; }
	KeySet &spare() noexcept { return sets[(generation.load(std::memory_order_acquire) + 1) & 1]; }
};
static_assert(sizeof(KeySharedMemory) <= kPageBytes);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

KeySharedMemory *page = nullptr;
bool page_is_shared = false;
const char *source = kKeyVariable; // for the log

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

// Which keys are in use, by their fingerprints; from the postmaster alone, so once.
void log_ring(const char *event)
{
	const KeySet &ring = page->current();
	char fingerprints[kMaxKeys * (common::fernet::kFingerprintChars + 2) + 1] = "";
	char *at = fingerprints;
	for (std::uint32_t i = 0; i < ring.count; i++) {
		if (i > 0)
			at = static_cast<char *>(mempcpy(at, ", ", 2));
		const auto digits =
			common::fernet::Key(
				std::span<const unsigned char, common::fernet::kKeyBytes>(ring.keys[i]))
				.fingerprint();
		at = static_cast<char *>(mempcpy(at, digits.data(), digits.size()));
	}
	*at = '\0';
	ereport(LOG, (errmsg_plural("oauth_tokens %s %u encryption key from %s",
								"oauth_tokens %s %u encryption keys from %s", ring.count, event,
								ring.count, source),
				  errdetail("Fingerprints, the key that encrypts first: %s.", fingerprints)));
}

void log_unused(const char *unused)
{
	ereport(LOG, (errmsg("oauth_tokens does not use %s: the keys come from %s", unused, source)));
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
			source = "oauth_tokens.key_file";
			if (!IsUnderPostmaster)
				log_ring("took over");
		}
		// The old set is wiped below, for readers no sooner than they can see that.
		std::atomic_thread_fence(std::memory_order_seq_cst);
	}
	page->spare().wipe();
	page->read_at.store(GetCurrentTimestamp());
	page->writer.store(0, std::memory_order_release);
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
	page = new (memory) KeySharedMemory{};
	page_is_shared = shared;
}

void fill_page(bool preloaded)
{
	KeySet &ring = page->current();
	const bool has_variable = ::getenv(kKeyVariable) != nullptr;
	// Taken away from the environment in any case, used if nothing else is set.
	take_key_variable(preloaded, ring);
	if (key_file_setting[0] != '\0') {
		source = "oauth_tokens.key_file";
		read_key_file(key_file_setting, ring);
	} else if (key_command_setting[0] != '\0' && preloaded) {
		source = "oauth_tokens.key_command";
		run_key_command(key_command_setting, ring);
	} else if (key_command_setting[0] != '\0') {
		ring.wipe();
		strlcpy(ring.fault.data(),
				"oauth_tokens.key_command runs at server start only, and needs oauth_tokens in "
				"shared_preload_libraries",
				ring.fault.size());
	}
	page->read_at.store(GetCurrentTimestamp());
	if (!preloaded)
		return;
	if (ring.state != KeyState::ready)
		ereport(WARNING,
				(errmsg("oauth_tokens has no usable encryption key: %s", ring.fault.data()),
				 errdetail("Functions that need a key will raise an error.")));
	else
		log_ring("has");
	if (key_file_setting[0] != '\0' && key_command_setting[0] != '\0')
		log_unused("oauth_tokens.key_command");
	if (has_variable && (key_file_setting[0] != '\0' || key_command_setting[0] != '\0'))
		log_unused(kKeyVariable);
}

} // namespace

void key_file_assigned(const char *newval, void *)
{
	if (page == nullptr || !IsPostmasterEnvironment || (IsUnderPostmaster && page_is_shared))
		return;
	if (key_file_setting[0] != '\0' && newval[0] == '\0')
		ereport(LOG, (errmsg("oauth_tokens.key_file was emptied, which takes no effect"),
					  errdetail("The key ring that was loaded before stays in use."),
					  errhint("To take the keys from elsewhere, restart the server.")));
	if (IsUnderPostmaster)
		return;
	page->postmaster_reads.store(true);
	reload_key_file(newval);
}

void load_key_ring()
{
	const bool preloaded = process_shared_preload_libraries_in_progress;
	make_page(preloaded);
	fill_page(preloaded);
}

std::uint64_t key_ring_generation() noexcept
{
	// With the setting on the command line, or without preload, nobody reads the
	// file for us: the first to come by after a reload does, as each session
	// does with postgresql.conf. A page of our own must not wait for the end of
	// a long CALL to see it.
	const bool reloaded = PgReloadTime > page->read_at.load(std::memory_order_relaxed) ||
						  (unlikely(ConfigReloadPending) && !page_is_shared);
	if (unlikely(reloaded) && !page->postmaster_reads.load())
		reload_key_file(key_file_setting);
	return page->generation.load(std::memory_order_acquire);
}

const char *key_source() noexcept
{
	return key_file_setting[0] != '\0' ? "oauth_tokens.key_file" : source;
}

bool is_key_file_loaded(KeySet &out) noexcept
{
	read_key_file(key_file_setting, out);
	return same_source(out, page->current());
}

std::uint64_t copy_key_ring(KeySet &out) noexcept
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
