#include "keys/key_ring.hpp"

#include <array>
#include <memory>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include <sys/prctl.h>

#include "common/hkdf.hpp"
#include "common/iv_pool.hpp"
#include "errors.hpp"
#include "keys/bound_key.hpp"
#include "keys/key_ring_reload.hpp"
#include "settings.hpp"

extern "C" {
#include "miscadmin.h"
}

namespace oauth_tokens
{

namespace
{

struct Ring {
	std::uint64_t generation = 0;
	KeyState state = KeyState::missing;
	std::vector<common::fernet::Key> keys; // to derive others from
	std::vector<common::fernet::Cipher> ciphers;
	std::vector<std::array<char, common::fernet::kFingerprintChars>> fingerprints;
	std::array<char, 192> fault{};
};

// Made once a backend and then changed in place, never destroyed: the process
// ends without running destructors of a library.
Ring *ring = nullptr;

// Brings the ring to the page's generation. False if memory is out or
// OpenSSL refuses; nothing here raises, so destructors are safe.
bool prepare() noexcept
try {
	// Before a key is copied into this process's own memory. The postmaster
	// never comes here: it must stay dumpable to set its children's OOM score.
	::prctl(PR_SET_DUMPABLE, 0);
	auto fresh = std::make_unique<Ring>();
	struct Copy : KeySet {
		~Copy() { wipe(); }
	} keys;
	fresh->generation = copy_key_ring(keys);
	fresh->state = keys.state;
	fresh->fault = keys.fault;
	for (std::uint32_t i = 0; i < keys.count; i++) {
		common::fernet::Key key{
			std::span<const unsigned char, common::fernet::kKeyBytes>(keys.keys[i])};
		fresh->ciphers.emplace_back(key);
		fresh->fingerprints.push_back(key.fingerprint());
		fresh->keys.push_back(std::move(key));
	}
	delete std::exchange(ring, fresh.release());
	return true;
} catch (...) {
	return false;
}

Ring &latest_ring()
{
	const std::uint64_t generation = key_ring_generation();
	if (unlikely(ring == nullptr || ring->generation != generation) && !prepare())
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("could not prepare the encryption keys")));
	return *ring;
}

Ring &usable_ring()
{
	latest_ring();
	if (unlikely(ring->state == KeyState::missing))
		ereport(ERROR, (errcode(ERRCODE_KEY_MISSING), errmsg("there is no encryption key"),
						errdetail_internal("%s.", ring->fault.data()),
						errhint("Set oauth_tokens.key_file to a file that the server's user may "
								"read and reload, or repair oauth_tokens.key_command or "
								"OAUTH_ENCRYPTION_KEY in the server's environment and restart.")));
	if (unlikely(ring->state == KeyState::malformed))
		ereport(ERROR,
				(errcode(ERRCODE_KEY_MALFORMED), errmsg("the encryption key is malformed"),
				 errdetail_internal("%s.", ring->fault.data()),
				 errhint("A Fernet key is 44 characters of base64url: SELECT "
						 "fernet_generate_key(). Separate several by commas or line ends.")));
	return *ring;
}

// Index of the cipher that signed the envelope, or the number of ciphers. The
// one that fitted last is tried first: during a rotation it is not the first.
std::size_t find_signer(Ring &keys, const common::fernet::Envelope &envelope)
{
	static std::size_t last = 0;
	if (last < keys.ciphers.size() && keys.ciphers[last].verify(envelope))
		return last;
	for (std::size_t i = 0; i < keys.ciphers.size(); i++) {
		if (i == last || !keys.ciphers[i].verify(envelope))
			continue;
		return last = i;
	}
	return keys.ciphers.size();
}

[[noreturn]] void raise_openssl(const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("OpenSSL could not %s", what),
					errhint("Its random generator or memory may be exhausted; try again.")));
	pg_unreachable();
}

bool seal_derived(const common::fernet::Key &key, std::string_view info, std::string_view plaintext,
				  std::uint64_t timestamp, std::span<char> out) noexcept
try {
	common::fernet::Iv iv;
	const auto derived = common::fernet::derive_key(key, info);
	return derived && common::fernet::next_iv(iv) &&
		   common::fernet::Cipher(*derived).encrypt(plaintext, timestamp, iv, out);
} catch (...) {
	return false;
}

bool verify_derived(const common::fernet::Key &key, std::string_view info,
					const common::fernet::Envelope &envelope) noexcept
try {
	const auto derived = common::fernet::derive_key(key, info);
	return derived && common::fernet::Cipher(*derived).verify(envelope);
} catch (...) {
	return false;
}

std::optional<std::span<char>> open_derived(const common::fernet::Key &key, std::string_view info,
											common::fernet::Envelope &envelope) noexcept
try {
	const auto derived = common::fernet::derive_key(key, info);
	if (!derived)
		return std::nullopt;
	common::fernet::Cipher cipher(*derived);
	return cipher.verify(envelope) ? cipher.decrypt(envelope) : std::nullopt;
} catch (...) {
	return std::nullopt;
}

// Of an envelope that this key has been found to have signed.
std::optional<std::span<char>> decrypt_derived(const common::fernet::Key &key,
											   std::string_view info,
											   common::fernet::Envelope &envelope) noexcept
try {
	const auto derived = common::fernet::derive_key(key, info);
	return derived ? common::fernet::Cipher(*derived).decrypt(envelope) : std::nullopt;
} catch (...) {
	return std::nullopt;
}

// Whether `fits` is true of the index of a key. The last one that fitted is tried first, because
// each derivation costs more than what it is for.
template <typename Fits>
bool any_key(const Ring &keys, Fits fits)
{
	static std::size_t last = 0;
	if (last < keys.keys.size() && fits(last))
		return true;
	for (std::size_t i = 0; i < keys.keys.size(); i++) {
		if (i == last || !fits(i))
			continue;
		last = i;
		return true;
	}
	return false;
}

Opened open_with_derived(const Ring &keys, std::string_view info,
						 common::fernet::Envelope &envelope)
{
	const std::uint64_t timestamp = envelope.timestamp(); // decrypting overwrites it
	Opened opened;
	any_key(keys, [&](std::size_t i) {
		if (const auto plaintext = open_derived(keys.keys[i], info, envelope))
			opened = {*plaintext, static_cast<int>(i) + 1, timestamp, Sealing::bound};
		return opened.position != 0;
	});
	return opened;
}

Opened open_bound(const Ring &keys, const ValuePosition &place, common::fernet::Envelope &envelope)
{
	BoundKeyInfo info;
	return bound_key_info(place, info) ? open_with_derived(keys, view_of(info), envelope)
									   : Opened{};
}

Opened open_shared(Ring &keys, std::size_t signer, common::fernet::Envelope &envelope)
{
	if (signer == keys.ciphers.size())
		return {};
	const std::uint64_t timestamp = envelope.timestamp();
	const auto plaintext = keys.ciphers[signer].decrypt(envelope);
	if (!plaintext)
		return {};
	return {*plaintext, static_cast<int>(signer) + 1, timestamp, Sealing::shared};
}

Signer find_bound_signer(const Ring &keys, const ValuePosition &place,
						 const common::fernet::Envelope &envelope)
{
	BoundKeyInfo info;
	if (!bound_key_info(place, info))
		return {};
	Signer signer;
	any_key(keys, [&](std::size_t i) {
		if (verify_derived(keys.keys[i], view_of(info), envelope))
			signer = {static_cast<int>(i) + 1, Sealing::bound};
		return signer.position != 0;
	});
	return signer;
}

Signer find_shared_signer(Ring &keys, const common::fernet::Envelope &envelope)
{
	const std::size_t signer = find_signer(keys, envelope);
	return signer == keys.ciphers.size() ? Signer{}
										 : Signer{static_cast<int>(signer) + 1, Sealing::shared};
}

// The shared keys come first: nothing is derived for them, so it is cheaper in every mode.
Signer find_any_signer(Ring &keys, const ValuePosition &place,
					   const common::fernet::Envelope &envelope)
{
	const Signer shared = find_shared_signer(keys, envelope);
	return shared.position != 0 ? shared : find_bound_signer(keys, place, envelope);
}

// Without verifying it again. Position 0: it is damaged all the same.
Opened open_signed(Ring &keys, const Signer &signer, const ValuePosition &place,
				   common::fernet::Envelope &envelope)
{
	const std::size_t index = signer.position - 1;
	if (signer.sealing == Sealing::shared)
		return open_shared(keys, index, envelope);
	const std::uint64_t timestamp = envelope.timestamp(); // decrypting overwrites it
	BoundKeyInfo info;
	if (!bound_key_info(place, info))
		return {};
	const auto plaintext = decrypt_derived(keys.keys[index], view_of(info), envelope);
	return plaintext ? Opened{*plaintext, signer.position, timestamp, Sealing::bound} : Opened{};
}

bool key_binding_is(KeyBinding binding)
{
	return key_binding_setting == static_cast<int>(binding);
}

} // namespace

void key_ring_init()
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	try {
		constexpr std::array<unsigned char, common::fernet::kKeyBytes> no_key{};
		common::fernet::Cipher cipher{common::fernet::Key(no_key)};
	} catch (...) {
		// The first use of a real key says what is wrong.
	}
}

bool key_ring_is_ready()
{
	return latest_ring().state == KeyState::ready;
}

int key_ring_size()
{
	return static_cast<int>(usable_ring().ciphers.size());
}

std::span<const char, common::fernet::kFingerprintChars> key_ring_fingerprint(int position)
{
	return usable_ring().fingerprints.at(static_cast<std::size_t>(position) - 1);
}

Sealing key_ring_sealing(const ValuePosition &place)
{
	return key_ring_binds() && place.identity != nullptr ? Sealing::bound : Sealing::shared;
}

bool key_ring_binds()
{
	return !key_binding_is(KeyBinding::shared);
}

bool key_ring_refuses(Sealing sealing)
{
	return sealing == Sealing::shared && key_binding_is(KeyBinding::bound);
}

Finding key_ring_judge(const Signer &signer, const ValuePosition &place)
{
	if (signer.position == 0)
		return Finding::damaged;
	if (key_ring_refuses(signer.sealing))
		return Finding::refused;
	const Sealing sealing = key_ring_sealing(place);
	if (signer.position == 1 && signer.sealing == sealing)
		return Finding::current;
	BoundKeyInfo info;
	const bool can_seal = sealing == Sealing::shared || bound_key_info(place, info);
	return can_seal ? Finding::outdated : Finding::unbindable;
}

void key_ring_check_place(const ValuePosition &place)
{
	BoundKeyInfo info;
	if (key_ring_sealing(place) == Sealing::bound && !bound_key_info(place, info))
		raise_no_bound_key(place);
}

void key_ring_seal(std::string_view plaintext, std::uint64_t timestamp, const ValuePosition &place,
				   std::span<char> out)
{
	if (key_ring_sealing(place) == Sealing::bound) {
		BoundKeyInfo info;
		if (!bound_key_info(place, info))
			raise_no_bound_key(place);
		return key_ring_seal_derived(plaintext, view_of(info), timestamp, out);
	}
	common::fernet::Cipher &cipher = usable_ring().ciphers.front();
	common::fernet::Iv iv;
	if (!common::fernet::next_iv(iv) || !cipher.encrypt(plaintext, timestamp, iv, out))
		raise_openssl("encrypt");
}

void key_ring_seal_derived(std::string_view plaintext, std::string_view info,
						   std::uint64_t timestamp, std::span<char> out)
{
	if (!seal_derived(usable_ring().keys.front(), info, plaintext, timestamp, out))
		raise_openssl("encrypt");
}

Opened key_ring_open_derived(std::string_view token, std::string_view info,
							 common::fernet::Bytes buffer)
{
	const Ring &keys = usable_ring();
	auto envelope = common::fernet::Envelope::decode(token, buffer);
	return envelope ? open_with_derived(keys, info, *envelope) : Opened{};
}

// First as values are sealed now.
Opened key_ring_open(std::string_view token, const ValuePosition &place,
					 common::fernet::Bytes buffer, Opens opens)
{
	Ring &keys = usable_ring();
	auto envelope = common::fernet::Envelope::decode(token, buffer);
	if (!envelope)
		return {};
	if (likely(key_binding_is(KeyBinding::shared))) {
		const std::size_t signer = find_signer(keys, *envelope);
		return likely(signer != keys.ciphers.size()) ? open_shared(keys, signer, *envelope)
													 : open_bound(keys, place, *envelope);
	}
	const Opened opened = open_bound(keys, place, *envelope);
	const bool is_final =
		opened.position != 0 || (opens == Opens::as_set && key_ring_refuses(Sealing::shared));
	return is_final ? opened : open_shared(keys, find_signer(keys, *envelope), *envelope);
}

Signer key_ring_find_signer(std::string_view token, const ValuePosition &place,
							common::fernet::Bytes buffer)
{
	Ring &keys = usable_ring();
	const auto envelope = common::fernet::Envelope::decode(token, buffer);
	if (!envelope)
		return {};
	return find_any_signer(keys, place, *envelope);
}

Finding key_ring_open_outdated(std::string_view token, const ValuePosition &place,
							   common::fernet::Bytes buffer, Opened &opened)
{
	Ring &keys = usable_ring();
	auto envelope = common::fernet::Envelope::decode(token, buffer);
	if (!envelope)
		return Finding::damaged;
	const Signer signer = find_any_signer(keys, place, *envelope);
	const Finding finding = key_ring_judge(signer, place);
	if (finding != Finding::outdated)
		return finding;
	opened = open_signed(keys, signer, place, *envelope);
	return opened.position == 0 ? Finding::damaged : Finding::outdated;
}

} // namespace oauth_tokens
