// What /metrics tells (Prometheus text format).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace sidecar
{

class Metrics
{
public:
	Metrics();
	~Metrics();

	// All labels are names of ours, never input, so their number is bounded.
	void request(std::string_view endpoint, std::string_view method, int status,
				 std::chrono::microseconds duration);
	void flow(const std::string &provider, std::string_view outcome);
	void provider_call(const std::string &provider, std::string_view kind,
					   std::chrono::microseconds duration);

	// Asked for at each reading.
	struct Gauges {
		int connections = 0;
		int requests = 0;
		int database_open = 0;
		int database_busy = 0;
		int database_waiting = 0;
	};
	std::string text(const Gauges &gauges) const;

private:
	struct Impl;
	std::unique_ptr<Impl> impl_;
};

} // namespace sidecar
