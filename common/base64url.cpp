#include "common/base64url.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace common::fernet::base64url
{

namespace
{

// A vector holds 8 groups: 24 bytes or 32 characters.
constexpr std::size_t kVectorGroups = 8;

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr std::uint8_t kInvalid = 0x80;

constexpr std::array<std::uint8_t, 256> kSextets = [] {
	std::array<std::uint8_t, 256> sextets{};
	sextets.fill(kInvalid);
	for (std::uint8_t i = 0; i < 64; i++)
		sextets[static_cast<unsigned char>(kAlphabet[i])] = i;
	return sextets;
}();

std::uint32_t sextet(char character) noexcept
{
	return kSextets[static_cast<unsigned char>(character)];
}

void encode_group(const unsigned char *in, char *out) noexcept
{
	const std::uint32_t bits = std::uint32_t{in[0]} << 16 | std::uint32_t{in[1]} << 8 | in[2];
	out[0] = kAlphabet[bits >> 18];
	out[1] = kAlphabet[bits >> 12 & 63];
	out[2] = kAlphabet[bits >> 6 & 63];
	out[3] = kAlphabet[bits & 63];
}

// The last group, of 1 or 2 bytes.
void encode_last(const unsigned char *in, std::size_t size, char *out) noexcept
{
	const std::uint32_t a = in[0], b = size == 2 ? in[1] : 0;
	out[0] = kAlphabet[a >> 2];
	out[1] = kAlphabet[(a << 4 | b >> 4) & 63];
	out[2] = size == 2 ? kAlphabet[b << 2 & 63] : '=';
	out[3] = '=';
}

// Returns kInvalid if one of the four characters is not of the alphabet.
std::uint32_t decode_group(const char *in, unsigned char *out) noexcept
{
	const std::uint32_t a = sextet(in[0]), b = sextet(in[1]), c = sextet(in[2]), d = sextet(in[3]);
	out[0] = static_cast<unsigned char>(a << 2 | b >> 4);
	out[1] = static_cast<unsigned char>(b << 4 | c >> 2);
	out[2] = static_cast<unsigned char>(c << 6 | d);
	return (a | b | c | d) & kInvalid;
}

// The last group, which may be padded. Returns the number of bytes, 0 if it
// is malformed or has unused bits set.
std::size_t decode_last(const char *in, unsigned char *out) noexcept
{
	if (in[3] != '=')
		return decode_group(in, out) ? 0 : 3;

	const std::size_t size = in[2] == '=' ? 1 : 2;
	const std::uint32_t a = sextet(in[0]), b = sextet(in[1]), c = size == 2 ? sextet(in[2]) : 0;
	const std::uint32_t unused = size == 2 ? c & 3 : b & 15;
	if ((a | b | c) & kInvalid || unused)
		return 0;
	out[0] = static_cast<unsigned char>(a << 2 | b >> 4);
	if (size == 2)
		out[1] = static_cast<unsigned char>(b << 4 | c >> 2);
	return size;
}

void encode_groups(const unsigned char *in, std::size_t groups, char *out) noexcept
{
	for (std::size_t i = 0; i < groups; i++)
		encode_group(in + 3 * i, out + 4 * i);
}

bool decode_groups(const char *in, std::size_t groups, unsigned char *out) noexcept
{
	std::uint32_t invalid = 0;
	for (std::size_t i = 0; i < groups; i++)
		invalid |= decode_group(in + 4 * i, out + 3 * i);
	return invalid == 0;
}

#if defined(__x86_64__)

// The two AVX2 steps read and write no byte beyond their groups. The method is
// that of Muła and Lemire, "Faster Base64 Encoding and Decoding using AVX2
// Instructions" (2018), with the tables of the URL alphabet.
#define FERNET_AVX2 __attribute__((target("avx2")))

bool has_avx2() noexcept
{
	return __builtin_cpu_supports("avx2");
}

FERNET_AVX2 inline __m256i both_lanes(__m128i lane) noexcept
{
	return _mm256_set_m128i(lane, lane);
}

// 24 bytes to 32 characters.
FERNET_AVX2 inline __m256i encode_vector(const unsigned char *in) noexcept
{
	// Bytes 0 to 11 into the low lane, 12 to 23 into the high one, each 3 bytes
	// spread over 4 as 1 0 2 1.
	const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i *>(in));
	const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i *>(in + 8));
	const __m256i spread =
		_mm256_shuffle_epi8(_mm256_set_m128i(high, low),
							_mm256_setr_epi8(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10, 5,
											 4, 6, 5, 8, 7, 9, 8, 11, 10, 12, 11, 14, 13, 15, 14));

	// Shifts that differ by sextet, done as multiplications.
	const __m256i even = _mm256_mulhi_epu16(_mm256_and_si256(spread, _mm256_set1_epi32(0x0fc0fc00)),
											_mm256_set1_epi32(0x04000040));
	const __m256i odd = _mm256_mullo_epi16(_mm256_and_si256(spread, _mm256_set1_epi32(0x003f03f0)),
										   _mm256_set1_epi32(0x01000010));
	const __m256i sextets = _mm256_or_si256(even, odd);

	// 0 to 25 are class 13, 26 to 51 class 0, the digits classes 1 to 10, '-' 11 and '_' 12.
	// The class says what to add.
	const __m256i upper = _mm256_cmpgt_epi8(_mm256_set1_epi8(26), sextets);
	const __m256i classes = _mm256_or_si256(_mm256_subs_epu8(sextets, _mm256_set1_epi8(51)),
											_mm256_and_si256(upper, _mm256_set1_epi8(13)));
	const __m256i offsets = both_lanes(_mm_setr_epi8('a' - 26, -4, -4, -4, -4, -4, -4, -4, -4, -4,
													 -4, '-' - 62, '_' - 63, 'A', 0, 0));
	return _mm256_add_epi8(sextets, _mm256_shuffle_epi8(offsets, classes));
}

FERNET_AVX2 void encode_avx2(const unsigned char *in, std::size_t groups, char *out) noexcept
{
	// The last vector overlaps the one before. It is made first, because `out` may overwrite
	// `in` as it grows.
	const std::size_t last = groups - kVectorGroups;
	const __m256i tail = encode_vector(in + 3 * last);
	for (std::size_t i = 0; i < last; i += kVectorGroups)
		_mm256_storeu_si256(reinterpret_cast<__m256i *>(out + 4 * i), encode_vector(in + 3 * i));
	_mm256_storeu_si256(reinterpret_cast<__m256i *>(out + 4 * last), tail);
}

// 32 characters to 24 bytes. Returns some set bit if one of them is not of
// the alphabet.
FERNET_AVX2 inline __m256i decode_vector(const char *in, unsigned char *out) noexcept
{
	const __m256i text = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(in));
	const __m256i nibble = _mm256_set1_epi8(0x0f);
	const __m256i high = _mm256_and_si256(_mm256_srli_epi32(text, 4), nibble);
	const __m256i low = _mm256_and_si256(text, nibble);

	// Each high nibble is of one class, a bit; each low nibble has the bits
	// of the classes in which it makes no valid character. 0x01: '-'. 0x02:
	// digits. 0x04: 'A' to 'O', 'a' to 'o'. 0x08: 'P' to 'Z', '_'. 0x10: 'p'
	// to 'z'. 0x20: nothing is valid.
	const __m256i high_class =
		both_lanes(_mm_setr_epi8(0x20, 0x20, 0x01, 0x02, 0x04, 0x08, 0x04, 0x10, 0x20, 0x20, 0x20,
								 0x20, 0x20, 0x20, 0x20, 0x20));
	const __m256i low_refuses =
		both_lanes(_mm_setr_epi8(0x25, 0x21, 0x21, 0x21, 0x21, 0x21, 0x21, 0x21, 0x21, 0x21, 0x23,
								 0x3b, 0x3b, 0x3a, 0x3b, 0x33));
	const __m256i invalid = _mm256_and_si256(_mm256_shuffle_epi8(high_class, high),
											 _mm256_shuffle_epi8(low_refuses, low));

	// The high nibble determines what to add, except for '_'.
	const __m256i offsets = both_lanes(_mm_setr_epi8(0, 0, 62 - '-', 52 - '0', -'A', -'A', 26 - 'a',
													 26 - 'a', 0, 0, 0, 0, 0, 0, 0, 0));
	const __m256i underscore = _mm256_and_si256(_mm256_cmpeq_epi8(text, _mm256_set1_epi8('_')),
												_mm256_set1_epi8(63 - '_' + 'A'));
	const __m256i sextets =
		_mm256_add_epi8(text, _mm256_add_epi8(_mm256_shuffle_epi8(offsets, high), underscore));

	// 4 sextets to 24 bits, big end first, then the 12 bytes of each lane
	// together.
	const __m256i pairs = _mm256_maddubs_epi16(sextets, _mm256_set1_epi32(0x01400140));
	const __m256i triples = _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x00011000));
	const __m256i packed = _mm256_shuffle_epi8(
		triples, both_lanes(_mm_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1)));
	const __m256i bytes =
		_mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7));
	_mm_storeu_si128(reinterpret_cast<__m128i *>(out), _mm256_castsi256_si128(bytes));
	_mm_storel_epi64(reinterpret_cast<__m128i *>(out + 16), _mm256_extracti128_si256(bytes, 1));
	return invalid;
}

FERNET_AVX2 bool decode_avx2(const char *in, std::size_t groups, unsigned char *out) noexcept
{
	const std::size_t last = groups - kVectorGroups; // overlaps the one before
	__m256i invalid = _mm256_setzero_si256();
	for (std::size_t i = 0;; i = std::min(i + kVectorGroups, last)) {
		invalid = _mm256_or_si256(invalid, decode_vector(in + 4 * i, out + 3 * i));
		if (i == last)
			return _mm256_testz_si256(invalid, invalid);
	}
}

#undef FERNET_AVX2

#else

bool has_avx2() noexcept
{
	return false;
}

void encode_avx2(const unsigned char *, std::size_t, char *) noexcept {}

bool decode_avx2(const char *, std::size_t, unsigned char *) noexcept
{
	return false;
}

#endif

void encode_with(bool vectors, std::span<const unsigned char> in, char *out) noexcept
{
	const std::size_t groups = in.size() / 3, rest = in.size() % 3;
	if (vectors && groups >= kVectorGroups)
		encode_avx2(in.data(), groups, out);
	else
		encode_groups(in.data(), groups, out);
	if (rest)
		encode_last(in.data() + 3 * groups, rest, out + 4 * groups);
}

bool decode_with(bool vectors, std::string_view text, unsigned char *out,
				 std::size_t &size) noexcept
{
	size = 0;
	if (text.empty() || text.size() % 4 != 0)
		return text.empty();

	const std::size_t groups = text.size() / 4 - 1; // before the last
	const bool valid = vectors && groups >= kVectorGroups ? decode_avx2(text.data(), groups, out)
														  : decode_groups(text.data(), groups, out);
	const std::size_t rest = decode_last(text.data() + 4 * groups, out + 3 * groups);
	size = 3 * groups + rest;
	return valid && rest != 0;
}

} // namespace

void encode(std::span<const unsigned char> in, char *out) noexcept
{
	encode_with(has_avx2(), in, out);
}

bool decode(std::string_view text, unsigned char *out, std::size_t &size) noexcept
{
	return decode_with(has_avx2(), text, out, size);
}

void encode_scalar(std::span<const unsigned char> in, char *out) noexcept
{
	encode_with(false, in, out);
}

bool decode_scalar(std::string_view text, unsigned char *out, std::size_t &size) noexcept
{
	return decode_with(false, text, out, size);
}

} // namespace common::fernet::base64url
