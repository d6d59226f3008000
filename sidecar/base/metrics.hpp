// The metrics of /metrics (Prometheus text format).
#pragma once

#include <prometheus/counter.h>
#include <prometheus/histogram.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace sidecar
{

// The result of a cache read; bypass: the cache was not asked, or did not answer.
enum class CacheRead { hit, miss, bypass };
// The result of a fill; refused: the token had changed meanwhile.
enum class CacheFill { stored, refused, failed };

// All threads may call these, but for cache_heartbeat() and text(), which are for one.
class Metrics
{
public:
	Metrics();
	~Metrics();

	// The requests of one thread. It keeps their counters, because looking labels up is slow.
	class Requests
	{
	public:
		explicit Requests(Metrics &metrics) : metrics_(metrics) {}

		void add(std::string_view endpoint, std::string_view method, int status,
				 std::chrono::microseconds duration);

	private:
		struct Series {
			prometheus::Counter *count = nullptr;
			prometheus::Histogram *seconds = nullptr;
		};
		Metrics &metrics_;
		std::map<std::tuple<std::string_view, std::string_view, int>, Series> series_;
	};

	// All labels are names of ours, never input, so their number is bounded.
	void flow(const std::string &provider, std::string_view outcome);
	void provider_call(const std::string &provider, std::string_view kind,
					   std::chrono::microseconds duration);

	// The series of what is rare: if one began with its first event, no rate would show that.
	void begin(const std::string &provider);
	void revocation(const std::string &provider, std::string_view outcome);
	void refresh(const std::string &provider, std::string_view outcome);

	void cache_read(CacheRead result);
	void cache_fill(CacheFill outcome);
	// How many invalidations a batch has found; and, if there are any, how long it took from its
	// begin until their entries were evicted.
	void cache_pending(std::size_t invalidations);
	void cache_invalidated(std::size_t invalidations, std::chrono::microseconds lag);
	void cache_heartbeat(); // it was written now
	void cache_draining(bool drains);

	// Values that are read at each request of /metrics.
	struct Gauges {
		int connections = 0;
		int requests = 0;
		int database_open = 0;
		int database_busy = 0;
		int database_waiting = 0;
		std::string_view cache_state;                    // none, ok, off, down
		std::optional<std::int64_t> revocations_waiting; // nothing: not known yet
		std::size_t refreshes = 0;                       // under way in this process
		std::size_t spool_files = 0;                     // answers that wait for the database
		std::size_t spool_aside = 0;
		// Refreshes, by provider; times are in seconds.
		struct Refreshes {
			std::string provider;
			std::int64_t due = 0;
			double oldest = 0;
			double paused_for = 0;
			std::int64_t in_doubt = 0;
		};
		std::vector<Refreshes> by_provider;
		std::vector<std::pair<std::string, std::int64_t>> tokens; // by state
	};
	std::string text(const Gauges &gauges) const;

private:
	struct Impl;
	std::unique_ptr<Impl> impl_;
};

} // namespace sidecar
