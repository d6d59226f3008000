#include "base/metrics.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace sidecar
{

using namespace std::chrono_literals;

// Each thread counts its requests, and one reads the sums meanwhile.
TEST(Metrics, OfManyThreads)
{
	constexpr int kThreads = 4, kRounds = 200;
	Metrics metrics;
	std::vector<std::thread> threads;
	for (int i = 0; i < kThreads; i++)
		threads.emplace_back([&] {
			Metrics::Requests requests(metrics);
			for (int round = 0; round < kRounds; round++) {
				requests.add("token", "GET", round % 2 == 0 ? 200 : 404, 1ms);
				metrics.cache_read(CacheRead::hit);
				metrics.cache_fill(CacheFill::stored);
			}
		});
	for (int i = 0; i < 20; i++)
		EXPECT_NE(metrics.text({}).find("oauth_sidecar_cache_reads_total"), std::string::npos);
	for (std::thread &thread : threads)
		thread.join();
	const std::string text = metrics.text({});
	for (const char *line :
		 {R"(requests_total{endpoint="token",method="GET",status="200"} 400)",
		  R"(requests_total{endpoint="token",method="GET",status="404"} 400)",
		  R"(request_seconds_count{endpoint="token"} 800)",
		  R"(cache_reads_total{result="hit"} 800)", R"(cache_fills_total{outcome="stored"} 800)"})
		EXPECT_NE(text.find(std::string("\noauth_sidecar_") + line + '\n'), std::string::npos)
			<< line;
}

} // namespace sidecar
