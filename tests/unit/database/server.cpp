#include "server.hpp"

#include <libpq-fe.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <grp.h>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

namespace tests
{

namespace
{

using ConnectionHandle = std::unique_ptr<PGconn, decltype(&PQfinish)>;
using ResultHandle = std::unique_ptr<PGresult, decltype(&PQclear)>;

std::string first_line_of(const std::string &command)
{
	struct Close {
		void operator()(FILE *file) const { pclose(file); }
	};
	const std::unique_ptr<FILE, Close> pipe(popen(command.c_str(), "r"));
	char line[4096] = "";
	if (!pipe || fgets(line, sizeof line, pipe.get()) == nullptr)
		throw std::runtime_error(command + " says nothing");
	std::string text = line;
	text.erase(text.find_last_not_of('\n') + 1);
	return text;
}

std::string program(const std::string &name)
{
	const char *config = std::getenv("PG_CONFIG");
	static const std::string directory =
		first_line_of(std::string(config == nullptr ? "pg_config" : config) + " --bindir");
	return directory + "/" + name;
}

// PostgreSQL refuses to run as root, which lends it the user of Debian's package.
const passwd *server_user()
{
	return geteuid() == 0 ? getpwnam("postgres") : getpwuid(geteuid());
}

// A child that ends, without a word, when we do.
pid_t spawn(std::vector<std::string> words, const std::string &log)
{
	const pid_t pid = fork();
	if (pid != 0)
		return pid;
	const passwd *user = server_user();
	if (geteuid() == 0 && (initgroups(user->pw_name, user->pw_gid) != 0 ||
						   setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0))
		_exit(126);
	prctl(PR_SET_PDEATHSIG, SIGQUIT);
	if (freopen(log.c_str(), "a", stdout) == nullptr || dup2(1, 2) < 0 || chdir("/") != 0)
		_exit(126);
	setenv("LC_ALL", "C.UTF-8", 1);
	setenv("PGTZ", "Asia/Kolkata", 1); // what sessions must not depend on
	std::vector<char *> arguments;
	for (std::string &word : words)
		arguments.push_back(word.data());
	arguments.push_back(nullptr);
	execv(arguments[0], arguments.data());
	_exit(127);
}

bool copy(const std::string &from, const std::string &to)
{
	const pid_t child = fork();
	if (child == 0) {
		execlp("cp", "cp", "-a", from.c_str(), to.c_str(), nullptr);
		_exit(127);
	}
	int status = 0;
	return waitpid(child, &status, 0) == child && status == 0;
}

// What initdb makes takes it a second, and each test is a process of its own: so one of
// them leaves a copy to the others, which the next run finds, too.
std::string cluster_to_copy()
{
	std::string name = program("") + first_line_of(program("postgres") + " --version");
	for (char &c : name)
		if (!std::isalnum(static_cast<unsigned char>(c)))
			c = '-';
	return std::string(BUILD_DIR "/cluster") + name;
}

void leave_copy(const std::string &data, const std::string &name)
{
	const std::string unfinished = name + "." + std::to_string(getpid());
	std::error_code error;
	if (copy(data, unfinished))
		std::filesystem::rename(unfinished, name, error); // fails where another was quicker
	std::filesystem::remove_all(unfinished, error);
}

void wait_until(const std::function<bool()> &condition)
{
	for (int i = 0; i < 600; i++) {
		if (condition())
			return;
		std::this_thread::sleep_for(std::chrono::milliseconds(50));
	}
	throw std::runtime_error("the server did not start");
}

} // namespace

Server::Server()
{
	std::string path = "/tmp/oauth-sidecar-XXXXXX";
	if (mkdtemp(path.data()) == nullptr)
		throw std::runtime_error("no temporary directory");
	directory_ = path;
	const passwd *user = server_user();
	if (user == nullptr || chown(path.c_str(), user->pw_uid, user->pw_gid) != 0)
		throw std::runtime_error("no user to run PostgreSQL as");
	make_data();
	start();
}

void Server::make_data() const
{
	const std::string data = directory_ + "/data";
	const std::string earlier = cluster_to_copy();
	if (std::filesystem::exists(earlier) && copy(earlier, data))
		return;
	const pid_t child =
		spawn({program("initdb"), "--pgdata=" + data, "--username=postgres", "--auth=trust",
			   "--encoding=UTF8", "--locale=C.UTF-8", "--wal-segsize=1", "--no-sync"},
			  directory_ + "/log");
	int status = 0;
	if (waitpid(child, &status, 0) != child || status != 0)
		throw std::runtime_error("initdb failed");
	leave_copy(data, earlier);
}

Server::~Server()
{
	stop(SIGQUIT);
	std::error_code ignored;
	std::filesystem::remove_all(directory_, ignored);
}

void Server::start()
{
	pid_ = spawn({program("postgres"), "-D", directory_ + "/data", "-k", directory_, "-c",
				  "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=30", "-c",
				  "shared_buffers=4MB", "-c", "allow_system_table_mods=on"},
				 directory_ + "/log");
	wait_until([this] { return PQping(address().c_str()) == PQPING_OK; });
}

void Server::stop(int signal)
{
	if (pid_ <= 0)
		return;
	kill(pid_, signal);
	waitpid(pid_, nullptr, 0);
	pid_ = -1;
}

std::string Server::address(const std::string &more) const
{
	return "host=" + directory_ + " user=postgres dbname=postgres " + more;
}

std::string Server::run(const std::string &sql) const
{
	const ConnectionHandle connection(
		PQconnectdb(
			address("options='-c default_transaction_read_only=off -c client_min_messages=error'")
				.c_str()),
		PQfinish);
	const ResultHandle result(PQexec(connection.get(), sql.c_str()), PQclear);
	const ExecStatusType status = PQresultStatus(result.get());
	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
		throw std::runtime_error(PQerrorMessage(connection.get()));
	return PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "";
}

} // namespace tests
