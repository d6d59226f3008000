#include "refresh/replayer.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.hpp"

namespace sidecar::refresh
{

namespace asio = boost::asio;

namespace
{

// Another process may have died and left one.
constexpr std::chrono::seconds kLook{60};

// Whether the database will never accept this answer: it does not open with the key of its
// attempt, its tokens are empty or too long, or another value is wrong (class 22). Any other
// error can be corrected: rights, keys, constraints of the owner.
bool is_of_the_answer(const database::StoreError &error)
{
	const std::string &state = error.sqlstate();
	return state == "OT018" || state == "OT006" || state == "OT007" || state.starts_with("22");
}

} // namespace

Replayer::Awaitable<void> Replayer::run()
{
	for (;;) {
		const bool has_more = co_await run_batch();
		co_await wait(has_more);
	}
}

void Replayer::wake()
{
	is_woken_ = true;
	timer_.cancel();
}

Replayer::Awaitable<void> Replayer::wait(bool has_more)
{
	const auto now = Backoff::Clock::now();
	if (has_more)
		backoff_.fail(now);
	else
		backoff_.succeed();
	timer_.expires_at(has_more ? backoff_.next() : now + kLook);
	boost::system::error_code ignored;
	if (!is_woken_ || has_more)
		co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
	is_woken_ = false;
}

void Replayer::complain(const std::string &about, std::string_view message,
						const std::string &reason)
{
	std::string &last = complaints_[about];
	if (last != reason)
		log::error(message, {{"file", about}, {"reason", reason}});
	last = reason;
}

// Whether a file is left for the next round.
Replayer::Awaitable<bool> Replayer::run_batch()
{
	const std::optional<spool::Listing> listing = co_await list();
	if (!listing)
		co_return true;
	if (listing->answers.empty())
		co_return false;
	bool has_more = false;
	try {
		const database::Cluster cluster = co_await context_.store.cluster();
		for (const std::string &name : listing->answers) {
			if (held_.contains(name))
				continue;
			const bool is_done = co_await take(name, cluster.id);
			has_more |= !is_done;
		}
	} catch (const database::StoreError &error) {
		// If the database does not answer, the pool logs it.
		if (!error.sqlstate().empty())
			complain({}, "the database does not accept answers of the spool", error.text());
		has_more = true;
	} catch (const spool::Error &error) {
		complain({}, "the spool does not work", error.what());
		has_more = true;
	}
	if (!has_more)
		complaints_.clear();
	co_return has_more;
}

Replayer::Awaitable<std::optional<spool::Listing>> Replayer::list()
{
	auto look = [spool = context_.spool] { return spool.list(); };
	try {
		spool::Listing listing = co_await context_.workers.run(look);
		files_ = listing.answers.size();
		set_aside_ = listing.set_aside;
		co_return listing;
	} catch (const spool::Error &error) {
		complain({}, "the spool does not work: nothing is refreshed", error.what());
	}
	co_return std::nullopt;
}

// Whether the file is finished. Throws errors that do not concern this file.
Replayer::Awaitable<bool> Replayer::take(const std::string &name, const std::string &cluster)
{
	auto read = [spool = context_.spool, name] { return spool.read(name); };
	const spool::Reading found = co_await context_.workers.run(read);
	if (found.state == spool::Reading::State::gone)
		co_return true;
	if (found.state == spool::Reading::State::damaged) {
		co_await put_aside(name, found.reason);
		co_return true;
	}
	if (found.entry.cluster != cluster) {
		std::string reason =
			"it is of the database " + found.entry.cluster + ", and this is " + cluster;
		co_await put_aside(name, std::move(reason));
		co_return true;
	}
	co_return co_await replay(name, found.entry);
}

Replayer::Awaitable<bool> Replayer::replay(const std::string &name, const spool::Entry &entry)
{
	std::optional<std::string> damage;
	try {
		const database::RefreshEnd end = co_await context_.store.replay(entry);
		if (end == database::RefreshEnd::busy)
			co_return false;
		if (end == database::RefreshEnd::committed)
			co_await context_.cache.evict(entry.identity);
		const oauth::Provider *provider = context_.registry.find(entry.identity.provider);
		const std::string_view outcome = end == database::RefreshEnd::committed ? "replayed"
										 : end == database::RefreshEnd::deleted ? "deleted"
																				: "superseded";
		log::info("an answer of the spool was handed in",
				  {{"file", name},
				   {"provider", entry.identity.provider},
				   {"workspace_id", entry.identity.workspace_id},
				   {"outcome", outcome}});
		context_.metrics.refresh(provider != nullptr ? provider->name : "unknown", outcome);
	} catch (const database::StoreError &error) {
		if (is_of_the_answer(error)) {
			damage = error.text();
		} else {
			if (error.is_transient())
				throw;
			complain(name, "the database refuses an answer of the spool, which is kept",
					 error.text());
			co_return false;
		}
	}
	if (damage)
		co_await put_aside(name, std::move(*damage));
	else
		co_await remove(name);
	co_return true;
}

Replayer::Awaitable<void> Replayer::remove(const std::string &name)
{
	auto remove = [spool = context_.spool, name] { spool.remove(name); };
	co_await context_.workers.run(remove);
	complaints_.erase(name);
	if (files_ > 0)
		files_--;
}

Replayer::Awaitable<void> Replayer::put_aside(const std::string &name, std::string reason)
{
	auto put = [spool = context_.spool, name, reason] { return spool.set_aside(name, reason); };
	const std::string line = co_await context_.workers.run(put);
	if (line.empty())
		co_return;
	log::error("an answer of the spool is set aside", {{"reason", line}});
	set_aside_++;
	if (files_ > 0)
		files_--;
}

} // namespace sidecar::refresh
