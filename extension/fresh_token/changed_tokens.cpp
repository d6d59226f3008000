#include "fresh_token/changed_tokens.hpp"

#include "fresh_token/refresh_requests.hpp"

namespace oauth_tokens
{

namespace
{

constexpr int kNoted = 16; // a transaction that changes more wakes all

struct Changed {
	bool any;
	int count;
	std::uint64_t hashes[kNoted];
};

Changed ours; // in the transaction that is under way

} // namespace

// What a savepoint takes back stays noted: a caller is woken in vain.
void note_changed_token(std::uint64_t hash)
{
	if (ours.any || (ours.count > 0 && ours.hashes[ours.count - 1] == hash))
		return;
	if (ours.count == kNoted)
		ours.any = true;
	else
		ours.hashes[ours.count++] = hash;
}

void note_changed_tokens()
{
	ours.any = true;
}

void end_changed_tokens(bool has_committed)
{
	if (!ours.any && ours.count == 0)
		return;
	if (has_committed && is_refresh_awaited()) {
		if (ours.any)
			wake_all_refresh_callers();
		else
			wake_refresh_callers({ours.hashes, static_cast<std::size_t>(ours.count)});
	}
	ours.any = false;
	ours.count = 0;
}

} // namespace oauth_tokens
