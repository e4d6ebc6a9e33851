// fuzz_session MEMOLOCK FOUND CALLS SEED: makes CALLS calls of memolock, of all verbs, on a server
// that corrupts some of its replies. A session has one to three concurrent calls for one entry. The
// first session has the seed SEED, each later one the next number.
// fuzz_session MEMOLOCK FOUND each SEED…: runs the sessions with these seeds.
// fuzz_session MEMOLOCK FOUND show SEED…: the same, and keeps what was sent in each session.
// fuzz_session run LOG STATUS: the command. Appends a byte to LOG, makes the file `made`, prints a
// fixed text, and exits with STATUS.
//
// Prints each call that ended in a way that is not permitted, with its seed, and writes what was
// sent during it to a file in the directory FOUND. Then prints how many calls ended in which way.
// Fails if there was such a call, or no call at all.
//
// Runs in a network namespace of its own, if permitted, because memolock may take a server's
// corrupted replies for host names.
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <mutex>
#include <optional>
#include <sstream>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "src/redis/names.hpp"
#include "src/system/random.hpp"
#include "tests/fuzz/session/server.hpp"

namespace memolock::fuzz {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds longest(20);  // how long a call may take on a busy machine
constexpr int life_line = 9;                 // a descriptor that all processes of a call have open
constexpr const char* command_output = "output of the command\n";

std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const fs::path& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

int run_command(const char* log, const char* status) {
  const Descriptor file(open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
  if (write(file.get(), "x", 1) != 1) return 99;
  write_file("made", "an artifact\n");
  std::cout << command_output << std::flush;
  return std::atoi(status);
}

/// One call, and how it may end.
struct Call {
  std::string verb;
  Words words;
  bool has_command = false;
  bool is_external = false;
  bool must_run = false;        // whatever happens to the store
  bool may_be_stopped = false;  // if its lease is lost, however early
  int status = 0;               // of the command

  fs::path folder{};
  pid_t pid = -1;
  Descriptor life{};
  bool is_over = false, hangs = false;
  int end = 0;  // as waitpid() returns it
};

std::string url_of(Chance& chance, const std::string& path, uint16_t port, bool& is_cluster) {
  const std::string login = chance.is(20) ? "user:secret@" : chance.is(20) ? ":secret@" : "";
  switch (chance.below(4)) {
    case 0:
      return fmt::format("redis+unix://{}{}{}", login, path, chance.is(20) ? "?db=3" : "");
    case 1:
      return fmt::format("redis://{}127.0.0.1:{}", login, port);
    case 2:
      return fmt::format("redis+sentinel://{}127.0.0.1:{}/main", login, port);
    default:
      is_cluster = true;
      return fmt::format("redis+cluster://{}127.0.0.1:{}", login, port);
  }
}

/// A call of `get`, `once` or `lock`, without the words of its command.
Call runner(Chance& chance) {
  Call call;
  call.verb = chance.is(60) ? "get" : chance.is(50) ? "once" : "lock";
  call.words = {call.verb, "--tag", "t", "--id", "x"};
  const auto add = [&](double percent, Words words) {
    if (chance.is(percent)) call.words.insert(call.words.end(), words.begin(), words.end());
    return call.words.back() == words.back();
  };
  const bool fails = add(20, {"--on-store-error", "fail"});
  if (!fails && call.verb != "get") add(100, {"--on-store-error", "run"});
  if (call.verb != "once") {
    // A server that keeps reporting a holder would make the call wait forever.
    add(100, {"--wait", chance.is(50) ? "100ms" : chance.is(80) ? "500ms" : "2s"});
    add(40, {"--on-timeout", "run"});
  }
  if (call.verb == "once") add(100, {"--ttl", "1h"});
  if (call.verb != "get") {
    call.may_be_stopped = chance.is(20);
    add(100, {"--on-lost-lease", call.may_be_stopped ? "kill" : "continue"});
  }
  call.must_run = !fails;
  call.has_command = true;
  if (call.verb != "get") return call;
  call.has_command = chance.is(85);
  if (!call.has_command) return call;
  add(100, {"--ttl", chance.is(70) ? "1h" : chance.is(50) ? "0" : "forever"});
  add(15, {"--refresh"});
  add(25, {"--stale", "2h"});
  add(10, {"--stale-if-error", "2h"});
  add(20, {"--cache-failures", "1h"});
  add(15, {"--on-failure", "retry"});
  add(10, {"--max-entry", "10"});
  if (add(20, {"--artifact", "made"})) return call;
  call.is_external = add(12, {"--external"});
  return call;
}

/// A call of a verb that runs no command.
Call other(Chance& chance, const std::string& token) {
  static const std::vector<Words> all{{"ls"},
                                      {"ls", "--json"},
                                      {"show", "--id", "x"},
                                      {"show", "--id", "x", "--json"},
                                      {"set", "--id", "x", "--ttl", "1h", "value"},
                                      {"set", "--id", "x", "--ttl", "1h", "value", "--token"},
                                      {"fail", "--id", "x", "--status", "4", "--token"},
                                      {"renew", "--id", "x", "--token"},
                                      {"del", "--id", "x"},
                                      {"del", "--id", "x", "--lock"},
                                      {"del", "--all"},
                                      {"del", "--all", "--foreign"},
                                      {"doctor"},
                                      {"doctor", "--json"}};
  Call call;
  call.words = chance.one_of(all);
  if (call.words.back() == "--token") call.words.push_back(token);
  call.words.insert(call.words.begin() + 1, {"--tag", "t"});
  call.verb = call.words[0];
  return call;
}

class Session {
 public:
  Session(Server& server, fs::path home, const char* memolock, const char* self)
      : server_(server), home_(std::move(home)), memolock_(memolock), self_(self) {}

  /// Runs the session with this seed. Returns what was wrong; empty if nothing.
  std::string play(uint64_t seed);
  [[nodiscard]] const std::vector<Call>& calls() const { return calls_; }
  /// How a call ended, in a word or two.
  [[nodiscard]] std::string end_of(const Call& call) const;

 private:
  void forget_calls();
  void start(Call& call, const Words& environment);
  void await(Call& call);
  [[nodiscard]] std::string fault_of(const Call& call) const;
  [[nodiscard]] std::string fault_of_run(const Call& call, int status) const;
  [[nodiscard]] std::string fault_of_words(const Call& call) const;
  [[nodiscard]] std::string outcome(const Call& call) const;

  Server& server_;
  fs::path home_;
  const char* memolock_;
  const char* self_;
  std::vector<Call> calls_;
  std::vector<int> lives_;
  Clock::time_point begun_;
};

std::string Session::play(uint64_t seed) {
  Chance chance(seed);
  bool is_cluster = false;
  const std::string url = url_of(chance, home_ / "s", server_.port(), is_cluster);
  const Key key{"t", "x"};
  Model model(key, is_cluster ? BracedId::yes : BracedId::no, server_.port());
  model.begin(static_cast<Model::Begin>(chance.below(7)));
  const std::string token = model.token();
  server_.become(std::move(model), any_spoiling(chance, server_.port()), seed);
  constexpr std::array<const char*, 3> timeouts{"30ms", "60ms", "120ms"};
  constexpr std::array<const char*, 3> leases{"200ms", "400ms", "1s"};
  const Words environment{std::string("MEMOLOCK_STORE=") + url,
                          std::string("MEMOLOCK_STORE_TIMEOUT=") + chance.one_of(timeouts),
                          std::string("MEMOLOCK_LEASE=") + chance.one_of(leases),
                          std::string("MEMOLOCK_LOG=") + (chance.is(50) ? "debug" : "warn")};
  forget_calls();
  begun_ = Clock::now();
  for (size_t count = chance.is(60) ? 1 : 2 + chance.below(2); count > 0; --count) {
    Call call = chance.is(65) ? runner(chance) : other(chance, token);
    call.status = chance.is(70) ? 0 : 7;
    calls_.push_back(std::move(call));
  }
  for (Call& call : calls_) {
    call.folder = home_ / fmt::format("{}.{}", seed, &call - calls_.data());
    start(call, environment);
  }
  server_.serve(lives_, [&] {
    for (Call& call : calls_) await(call);
    return std::all_of(calls_.begin(), calls_.end(), [](const Call& call) { return call.is_over; });
  });
  std::string faults;
  for (const Call& call : calls_)
    if (const std::string fault = fault_of(call); !fault.empty())
      faults += fmt::format("{}:\n  {}\n  store {}\n", fault, fmt::join(call.words, " "), url);
  return faults;
}

void Session::forget_calls() {
  // The garbage collection of the local store may continue for a moment after a call.
  std::error_code ignored;
  for (const Call& call : calls_) fs::remove_all(call.folder, ignored);
  calls_.clear();
  lives_.clear();
}

void Session::start(Call& call, const Words& environment) {
  fs::create_directories(call.folder);
  write_file(call.folder / "value", "a value\n");
  if (call.has_command || call.verb == "get") {
    call.words.insert(call.words.end(), {"--report", "report"});
  }
  if (call.has_command)
    call.words.insert(call.words.end(),
                      {"--", self_, "run", call.folder / "ran", std::to_string(call.status)});
  Words variables = environment;
  variables.push_back("PATH=/usr/bin:/bin");
  variables.push_back("HOME=" + call.folder.string());
  variables.push_back("TMPDIR=" + call.folder.string());
  std::vector<char*> argv{const_cast<char*>(memolock_)}, envp;
  for (std::string& word : call.words) argv.push_back(word.data());
  for (std::string& variable : variables) envp.push_back(variable.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);

  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("cannot create a pipe");
  call.life.reset(ends[0]);
  const Descriptor theirs(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, call.folder.c_str());
  constexpr int flags = O_WRONLY | O_CREAT | O_TRUNC;
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "out", flags, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "err", flags, 0600);
  posix_spawn_file_actions_adddup2(&actions, theirs.get(), life_line);
  const int error = posix_spawn(&call.pid, memolock_, &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("cannot start memolock");
  lives_.push_back(call.life.get());
}

/// Records how a call ended. Kills the call if it hangs.
void Session::await(Call& call) {
  if (call.is_over) return;
  const auto now = Clock::now();
  if (now - begun_ > longest && !std::exchange(call.hangs, true)) kill(call.pid, SIGKILL);
  if (call.pid > 0 && waitpid(call.pid, &call.end, WNOHANG) == call.pid) call.pid = -1;
  if (call.pid > 0) return;
  // A background refresh, and its command, end after the call.
  pollfd life{call.life.get(), POLLIN, 0};
  const bool has_ended = poll(&life, 1, 0) == 1;
  if (!has_ended && now - begun_ < longest) return;
  call.hangs = call.hangs || !has_ended;
  call.is_over = true;
  std::erase(lives_, call.life.get());
}

std::string Session::outcome(const Call& call) const {
  const std::string report = content(call.folder / "report");
  constexpr std::string_view name = "\"outcome\":\"";
  const size_t at = report.find(name);
  if (at == std::string::npos) return "";
  const size_t from = at + name.size();
  return report.substr(from, report.find('"', from) - from);
}

std::string Session::end_of(const Call& call) const {
  const std::string how = outcome(call);
  return call.verb + ' ' + (how.empty() ? std::to_string(WEXITSTATUS(call.end)) : how);
}

std::string Session::fault_of(const Call& call) const {
  if (call.hangs) return "took too long";
  if (WIFSIGNALED(call.end)) return fmt::format("was killed by signal {}", WTERMSIG(call.end));
  const int status = WEXITSTATUS(call.end);
  std::string fault = call.has_command ? fault_of_run(call, status) : "";
  if (!fault.empty()) return fault;
  const bool is_own = status == 0 || status == 1 || status == 124 || status == 125;
  // A server can report a wrong status for an entry.
  if (!is_own && !call.has_command && call.verb != "get")
    return fmt::format("exited with {}", status);
  return fault_of_words(call);
}

std::string Session::fault_of_run(const Call& call, int status) const {
  std::error_code none;
  const auto runs = fs::file_size(call.folder / "ran", none);
  const auto ran = none ? 0 : runs;
  const std::string how = outcome(call);
  if (ran > 1) return fmt::format("ran the command {} times", ran);
  const bool is_answered = how == "hit" || how == "waited" || how == "skipped";
  if (is_answered || how == "stale")
    return is_answered && ran > 0 ? fmt::format("ran the command of a call that was {}", how) : "";
  if (call.may_be_stopped && status == 128 + SIGTERM) return "";
  if (ran == 0) {
    const bool may_not = status == 124 || (status == 125 && !call.must_run);
    return may_not ? "" : fmt::format("did not run the command, and exited with {}", status);
  }
  if (call.is_external) return "";
  if (status != call.status)
    return fmt::format("exited with {} after the command's {}", status, call.status);
  if (content(call.folder / "out") != command_output) return "lost the output";
  return "";
}

std::string Session::fault_of_words(const Call& call) const {
  const std::string said = content(call.folder / "err");
  std::istringstream lines(said);
  // With --external, the command's stdout is not the result; it goes to stderr.
  const auto is_commands = [&](const std::string& line) {
    return call.is_external && line + '\n' == command_output;
  };
  for (std::string line; std::getline(lines, line);)
    if (!line.starts_with("memolock: ") && !is_commands(line))
      return "prints a line that is not a message of memolock";
  // Removes the output of the command, which is not a message of memolock.
  const std::string all = call.has_command ? said : said + content(call.folder / "out");
  for (const char* const word : {"std::", "vector", "basic_string", "bad_alloc", "what()",
                                 "terminate", "boost", "hiredis", "_M_", "internal error"})
    if (all.find(word) != std::string::npos) return fmt::format("says {}", word);
  constexpr std::string_view misfit = "unexpected reply";
  std::istringstream again(said);
  for (std::string line; std::getline(again, line);)
    if (line.find(misfit) != std::string::npos && line.find(" at ") == std::string::npos)
      return "does not say whose answer it was";
  return "";
}

/// Gives this process and its children a network with only a loopback device.
void leave_network() {
  const std::string user = fmt::format("{0} {0} 1", getuid()),
                    group = fmt::format("{0} {0} 1", getgid());
  if (unshare(CLONE_NEWNET) != 0) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return;
    write_file("/proc/self/setgroups", "deny");
    write_file("/proc/self/uid_map", user);
    write_file("/proc/self/gid_map", group);
  }
  const Descriptor any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq loopback{};
  std::string_view("lo").copy(loopback.ifr_name, IFNAMSIZ - 1);
  loopback.ifr_flags = IFF_UP;
  (void)ioctl(any.get(), SIOCSIFFLAGS, &loopback);
}

/// What the threads share.
struct Work {
  std::string memolock;
  fs::path found, scratch;
  std::string self;
  /// The seeds of the sessions; empty: count up from `next` until there were `wanted` calls.
  std::vector<uint64_t> seeds{};
  uint64_t next = 0;
  size_t wanted = 0;
  bool keeps_all = false;

  std::mutex mutex{};
  size_t calls = 0, faults = 0;
  std::map<std::string, size_t> ends{};

  std::optional<uint64_t> take_seed() {
    const std::lock_guard lock(mutex);
    if (wanted > 0) return calls < wanted ? std::optional(next++) : std::nullopt;
    if (next == seeds.size()) return std::nullopt;
    return seeds[next++];
  }
};

void note(Work& work, uint64_t seed, const Session& session, const Server& server,
          const std::string& faults) {
  const std::lock_guard lock(work.mutex);
  work.calls += session.calls().size();
  for (const Call& call : session.calls()) ++work.ends[session.end_of(call)];
  if (faults.empty() && !work.keeps_all) return;
  if (!faults.empty()) ++work.faults;
  std::cout << "seed " << seed << ": " << faults << std::flush;
  std::string text = faults + '\n';
  for (const Call& call : session.calls())
    text += fmt::format("{}\n{}{}\n", fmt::join(call.words, " "), content(call.folder / "err"),
                        content(call.folder / "report"));
  fs::create_directories(work.found);
  write_file(work.found / std::to_string(seed), text + server.conversation());
}

void labour(Work& work, size_t number) {
  const fs::path home = work.scratch / std::to_string(number);
  fs::create_directories(home);
  Server server(home / "s");
  Session session(server, home, work.memolock.c_str(), work.self.c_str());
  while (const auto seed = work.take_seed()) {
    const std::string faults = session.play(*seed);
    note(work, *seed, session, server, faults);
  }
}

uint64_t number_in(std::string_view text) {
  uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

int fuzz(int argc, char** argv) {
  Work work{fs::absolute(argv[1]), argv[2],
            fs::temp_directory_path() / ("memolock-session-" + random_name()),
            fs::read_symlink("/proc/self/exe")};
  const std::string_view what(argv[3]);
  work.keeps_all = what == "show";
  if (what == "each" || what == "show") {
    for (int i = 4; i < argc; ++i) work.seeds.push_back(number_in(argv[i]));
  } else {
    work.wanted = number_in(argv[3]);
    work.next = number_in(argv[4]);
  }
  if (access(work.memolock.c_str(), X_OK) != 0) throw std::runtime_error("no such memolock");
  leave_network();
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 8 * size_t{std::max(std::thread::hardware_concurrency(), 1U)}; ++i)
    threads.emplace_back(labour, std::ref(work), i);
  for (std::thread& thread : threads) thread.join();
  std::error_code ignored;
  fs::remove_all(work.scratch, ignored);
  for (const auto& [end, count] : work.ends) std::cout << fmt::format("{:20} {}\n", end, count);
  std::cout << fmt::format("{} calls, {} faults\n", work.calls, work.faults);
  return work.calls > 0 && work.faults == 0 ? 0 : 1;
}

}  // namespace
}  // namespace memolock::fuzz

int main(int argc, char** argv) {
  using namespace memolock::fuzz;
  if (argc == 4 && std::string_view(argv[1]) == "run") return run_command(argv[2], argv[3]);
  if (argc < 5) return 2;
  try {
    return fuzz(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "fuzz_session: " << error.what() << '\n';
    return 2;
  }
}
