// The key ring as a backend uses it: one prepared cipher for each key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "common/fernet.hpp"
#include "tokens/identity.hpp"

namespace oauth_tokens
{

// A token of the table is plain Fernet under a key of the ring, which any row can hold; or it
// is bound: under a key that common/token_key.hpp derives for its row and column.
enum class Sealing { shared, bound };

// What became of a token that was tried with every key.
struct Opened {
	std::span<char> plaintext; // stands in the caller's buffer
	int position = 0;          // 1 is the key that encrypts; 0: no key opens it
	std::uint64_t timestamp = 0;
	Sealing sealing = Sealing::shared;
};

// Which key has sealed a token, and how.
struct Signer {
	int position = 0; // as above
	Sealing sealing = Sealing::shared;
};

// In the postmaster, has OpenSSL load its algorithms, so that backends inherit
// them and the first token of a session does not wait.
void key_ring_init();

// All of these raise OT001 (no key) or OT002 (malformed key) if there is no
// usable ring, and take up a ring that was changed by a reload.

// The exception: whether there is one. Raises if memory is out.
bool key_ring_is_ready();

// Number of keys.
int key_ring_size();

// Fingerprint of the key at `position` (from 1), 16 hexadecimal digits.
std::span<const char, common::fernet::kFingerprintChars> key_ring_fingerprint(int position);

// As oauth_tokens.key_binding says: how a value is sealed now, and whether one does not open.
Sealing key_ring_sealing(const ValuePosition &place);
bool key_ring_binds();
bool key_ring_refuses(Sealing sealing);

// What a rotation has to do with a value.
enum class Finding {
	current,
	outdated,   // is to be sealed anew
	damaged,    // no key opens it
	refused,    // by key_binding: stays as it is
	unbindable, // its identity has no key of its own: stays as it is
};
Finding key_ring_judge(const Signer &signer, const ValuePosition &place);

// Judges a value, and opens it if it is outdated. What key_ring_open() then says is damaged, is.
Finding key_ring_open_outdated(std::string_view token, const ValuePosition &place,
							   common::fernet::Bytes buffer, Opened &opened);

// Raises what key_ring_seal() does of the place: before there is a plaintext that would not be
// wiped.
void key_ring_check_place(const ValuePosition &place);

// Encrypts under the first key, with a fresh IV. `place` is where the value
// will stand. `out` holds common::fernet::token_chars(plaintext.size()) characters. Raises 22021
// if the place has no key of its own: its texts cannot be written as UTF-8.
void key_ring_seal(std::string_view plaintext, std::uint64_t timestamp, const ValuePosition &place,
				   std::span<char> out);

// Decrypts with whichever key fits. `buffer` has common::fernet::decoded_capacity() bytes.
// For counting and re-sealing, also what the setting refuses.
enum class Opens { as_set, everything };
Opened key_ring_open(std::string_view token, const ValuePosition &place,
					 common::fernet::Bytes buffer, Opens opens = Opens::as_set);

// The same for what is no token of the table: under a key that HKDF-SHA256
// derives from the ring's key and `info`, in every key-binding mode.
void key_ring_seal_derived(std::string_view plaintext, std::string_view info,
						   std::uint64_t timestamp, std::span<char> out);
Opened key_ring_open_derived(std::string_view token, std::string_view info,
							 common::fernet::Bytes buffer);

// Who has sealed the token, whatever the setting is. Cheaper than opening, and writes no
// plaintext anywhere.
Signer key_ring_find_signer(std::string_view token, const ValuePosition &place,
							common::fernet::Bytes buffer);

} // namespace oauth_tokens
