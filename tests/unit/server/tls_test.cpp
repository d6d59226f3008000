#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "running_server.hpp"

namespace sidecar::server
{

using namespace std::chrono_literals;

namespace
{

// A certificate of our own for a day.
void write_pair(const std::string &certificate_file, const std::string &key_file,
				const char *passphrase = nullptr)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
	X509_set_pubkey(certificate, key);
	X509_NAME *name = X509_get_subject_name(certificate);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
							   reinterpret_cast<const unsigned char *>("localhost"), -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	X509_sign(certificate, key, EVP_sha256());
	FILE *file = std::fopen(certificate_file.c_str(), "w");
	PEM_write_X509(file, certificate);
	std::fclose(file);
	file = std::fopen(key_file.c_str(), "w");
	PEM_write_PrivateKey(file, key, passphrase ? EVP_aes_128_cbc() : nullptr, nullptr, 0, nullptr,
						 const_cast<char *>(passphrase));
	std::fclose(file);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

class ServerTls : public testing::Test
{
protected:
	ServerTls()
	{
		char pattern[] = "/tmp/tls-XXXXXX";
		directory_ = mkdtemp(pattern);
		certificate_ = directory_ + "/certificate.pem";
		key_ = directory_ + "/key.pem";
		write_pair(certificate_, key_);
	}
	~ServerTls() override { std::filesystem::remove_all(directory_); }

	RunningServer::Prepare prepare() const
	{
		return [this](Server &server) { server.use_tls(certificate_, key_); };
	}
	static std::string fault(const std::string &certificate, const std::string &key)
	{
		boost::asio::io_context context(1);
		Server server(context, {}, {}, {}, {});
		try {
			server.use_tls(certificate, key);
		} catch (const std::runtime_error &error) {
			return error.what();
		}
		return "";
	}

	std::string directory_;
	std::string certificate_;
	std::string key_;
};

} // namespace

TEST_F(ServerTls, AnswersAndStays)
{
	RunningServer server({}, prepare());
	Client client(server.port(), true);
	ASSERT_TRUE(client.is_connected());
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(client.ask(get("/a")).body, "GET|/a||||---|0");
	client.send(get("/one") + get("/two"));
	EXPECT_TRUE(client.receive().body.starts_with("GET|/one|"));
	EXPECT_TRUE(client.receive().body.starts_with("GET|/two|"));
	const unsigned char *protocol = nullptr;
	unsigned size = 0;
	SSL_get0_alpn_selected(client.tls(), &protocol, &size);
	EXPECT_EQ(std::string(reinterpret_cast<const char *>(protocol), size), "http/1.1");
	EXPECT_EQ(client.ask(get("/", "Connection: close\r\n")).status, 200);
	EXPECT_TRUE(client.is_closed());
	EXPECT_TRUE(SSL_get_shutdown(client.tls()) & SSL_RECEIVED_SHUTDOWN); // not just cut
}

TEST_F(ServerTls, SendsLongAnswersAndDrops)
{
	Limits limits;
	limits.write = 200ms;
	RunningServer server(limits, prepare());
	Client client(server.port(), true);
	EXPECT_EQ(client.ask(get("/big/5000000")).body.size(), 5000000U);
	client.send(get("/big/100000000"));
	EXPECT_TRUE(server.settles(0));
}

TEST_F(ServerTls, EndsAHandshakeThatDoesNotCome)
{
	Limits limits;
	limits.handshake = 150ms;
	RunningServer server(limits, prepare());
	Client silent(server.port());
	Client plain(server.port());
	EXPECT_EQ(plain.ask(get("/")).status, 0);
	EXPECT_TRUE(silent.is_closed());
	EXPECT_TRUE(server.settles(0));
	EXPECT_TRUE(Client(server.port(), true).is_connected());
}

TEST_F(ServerTls, ClosesTheIdleAndTheSlow)
{
	Limits limits;
	limits.idle = 150ms;
	limits.header = 150ms;
	RunningServer server(limits, prepare());
	Client idle(server.port(), true);
	Client slow(server.port(), true);
	EXPECT_EQ(slow.ask("GET / HTTP/1.1\r\n").status, 408);
	EXPECT_TRUE(idle.is_closed());
	EXPECT_TRUE(server.settles(0));
}

TEST_F(ServerTls, DrainsWithoutLosingARequest)
{
	RunningServer server({}, prepare());
	Client client(server.port(), true);
	client.send(get("/hold"));
	ASSERT_TRUE(server.settles(1, 1));
	server.start_drain(60s);
	server.release();
	EXPECT_EQ(client.receive().header("Connection"), "close");
	EXPECT_TRUE(server.wait_drained());
}

TEST_F(ServerTls, SaysWhatIsWrongWithTheFiles)
{
	const std::string none = directory_ + "/none.pem";
	EXPECT_EQ(fault(none, key_), "TLS certificate " + none + ": No such file or directory");
	EXPECT_EQ(fault(certificate_, none), "TLS key " + none + ": No such file or directory");
	const std::string other = directory_ + "/other.pem";
	write_pair(directory_ + "/unused.pem", other);
	EXPECT_NE(fault(certificate_, other).find("key values mismatch"), std::string::npos);
	write_pair(directory_ + "/unused.pem", other, "secret");
	EXPECT_NE(fault(certificate_, other).find("cannot be used"), std::string::npos);
	std::ofstream(other) << "nonsense";
	EXPECT_NE(fault(other, key_).find("cannot be used"), std::string::npos);
}

} // namespace sidecar::server
