// mixed_callers SOCKET MEMOLOCK ROUNDS MILLISECONDS: in each round, callers of memolock and callers
// that act like redis-memolock's Go client ask for the same new entry at about the same time. The
// command takes MILLISECONDS. Prints in how many rounds the command did not run exactly once, and
// how many callers got an answer that is not the run's; fails if there were any. Ignores a round in
// which the other client paused for too long between its look-up and its lock.
// mixed_callers run LOG MILLISECONDS: the command. Appends a byte to LOG and prints a unique text.
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <iostream>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <hiredis/hiredis.h>

#include "src/system/descriptor.hpp"

namespace {

using memolock::Descriptor;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr int callers_of_each = 20;
constexpr int longest_wait = 20000;  // milliseconds; every message arrives earlier
// A little less than the life of the released marker.
constexpr auto longest_pause = milliseconds(450);

std::string run_command(const std::string& log, int duration) {
  const Descriptor file(open(log.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
  if (write(file.get(), "x", 1) != 1) throw std::runtime_error("cannot write " + log);
  std::this_thread::sleep_for(milliseconds(duration));
  return std::to_string(std::random_device{}());
}

/// A connection of the other client.
class Connection {
 public:
  explicit Connection(const char* socket) : context_(redisConnectUnix(socket)) {
    if (context_ == nullptr || context_->err != 0) throw std::runtime_error("no connection");
  }
  ~Connection() { redisFree(context_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// The answer's text; empty for nil.
  template <typename... Words>
  std::string ask(const char* format, Words... words) {
    return text_of(static_cast<redisReply*>(redisCommand(context_, format, words...)));
  }

  /// The message of the channel; empty if none has arrived in time.
  std::string await_message(const std::string& channel) {
    for (;;) {
      redisReply* reply = nullptr;
      redisGetReplyFromReader(context_, reinterpret_cast<void**>(&reply));
      if (reply == nullptr) {
        pollfd waiting{.fd = context_->fd, .events = POLLIN, .revents = 0};
        if (poll(&waiting, 1, longest_wait) <= 0 || redisBufferRead(context_) != REDIS_OK)
          return "";
        continue;
      }
      std::string message;
      if (reply->elements == 4 && channel == reply->element[2]->str)
        message.assign(reply->element[3]->str, reply->element[3]->len);
      freeReplyObject(reply);
      if (!message.empty()) return message;
    }
  }

 private:
  static std::string text_of(redisReply* reply) {
    if (reply == nullptr) throw std::runtime_error("no reply");
    std::string text = reply->str == nullptr ? "" : std::string(reply->str, reply->len);
    freeReplyObject(reply);
    return text;
  }

  redisContext* context_;
};

/// One caller of the other client: it looks up the value, tries to take the lock, and waits for the
/// message of the holder. It never deletes its lock.
class OtherClient {
 public:
  explicit OtherClient(const char* socket) : commands_(socket), messages_(socket) {
    messages_.ask("PSUBSCRIBE t/notif:*");
  }

  std::string get(const std::string& id, const std::string& log, int duration) {
    const char* const name = id.c_str();
    const auto begun = std::chrono::steady_clock::now();
    if (auto value = commands_.ask("GET t:%s", name); !value.empty()) return value;
    if (commands_.ask("SET t/lock:%s 6ba7b810-9dad-11d1-80b4-00c04fd430c8 NX PX 30000", name) ==
        "OK") {
      has_paused_ = std::chrono::steady_clock::now() - begun > longest_pause;
      std::string made = run_command(log, duration);
      commands_.ask("SET t:%s %s PX 60000", name, made.c_str());
      commands_.ask("PUBLISH t/notif:%s %s", name, made.c_str());
      return made;
    }
    if (auto value = commands_.ask("GET t:%s", name); !value.empty()) return value;
    return messages_.await_message("t/notif:" + id);
  }

  /// Whether it has taken the lock long after its look-up.
  bool has_paused() { return std::exchange(has_paused_, false); }

 private:
  Connection commands_, messages_;
  bool has_paused_ = false;
};

struct Setting {
  const char* self;
  const char* socket;
  const char* memolock;
  int duration;
};

/// Starts one caller of memolock; its output goes to `out`.
pid_t start_memolock(const Setting& setting, const std::string& id, const std::string& log,
                     int out) {
  const std::string url = fmt::format("redis+unix://{}", setting.socket);
  const std::string duration = std::to_string(setting.duration);
  std::vector<const char*> words{
      setting.memolock, "get",   "--store", url.c_str(), "--tag",      "t",   "--id",
      id.c_str(),       "--ttl", "1m",      "--",        setting.self, "run", log.c_str(),
      duration.c_str(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, setting.memolock, &actions, nullptr,
                                const_cast<char* const*>(words.data()), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("cannot start memolock");
  return pid;
}

std::string content(int file) {
  std::array<char, 100> bytes{};
  const ssize_t got = memolock::read_all_at(file, bytes.data(), bytes.size(), 0);
  return {bytes.data(), static_cast<size_t>(std::max<ssize_t>(got, 0))};
}

struct Count {
  int rounds = 0;   // those that were not ignored
  int doubled = 0;  // of these, those in which the command did not run exactly once
  int answers = 0;  // answers that are not the run's
};

/// Starts all callers of one round.
void play(const Setting& setting, const std::string& id, std::deque<OtherClient>& others,
          std::mt19937& chance, Count& count) {
  const std::string log = "runs." + id;
  // Some arrive while the run ends, and some after it.
  const auto last = milliseconds(setting.duration + 15);
  std::uniform_int_distribution<int64_t> when(0, microseconds(last).count());
  std::vector<std::string> answers(others.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < others.size(); ++i)
    threads.emplace_back([&, i, pause = microseconds(when(chance))] {
      std::this_thread::sleep_for(pause);
      answers[i] = others[i].get(id, log, setting.duration);
    });
  std::vector<pid_t> pids;
  std::vector<Descriptor> outputs;
  for (int i = 0; i < callers_of_each; ++i) {
    outputs.emplace_back(open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    pids.push_back(start_memolock(setting, id, log, outputs.back().get()));
  }
  int wrong = 0;
  for (const pid_t pid : pids) {
    int status = 0;
    if (waitpid(pid, &status, 0) != pid || status != 0) ++wrong;
  }
  for (std::thread& thread : threads) thread.join();
  for (const Descriptor& output : outputs) answers.push_back(content(output.get()));
  struct stat info {};
  const bool ran_once = stat(log.c_str(), &info) == 0 && info.st_size == 1;
  unlink(log.c_str());
  for (const std::string& answer : answers)
    if (answer.empty() || answer != answers.front()) ++wrong;
  bool has_paused = false;
  for (OtherClient& other : others) has_paused = other.has_paused() || has_paused;
  if (has_paused) return;
  ++count.rounds;
  count.doubled += ran_once ? 0 : 1;
  count.answers += wrong;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 4 && strcmp(argv[1], "run") == 0) {
      std::cout << run_command(argv[2], std::atoi(argv[3])) << std::flush;
      return 0;
    }
    if (argc != 5) return 2;
    const Setting setting{argv[0], argv[1], argv[2], std::atoi(argv[4])};
    std::deque<OtherClient> others;
    for (int i = 0; i < callers_of_each; ++i) others.emplace_back(setting.socket);
    std::mt19937 chance(std::random_device{}());
    Count count;
    const int rounds = std::atoi(argv[3]);
    for (int i = 0; i < 2 * rounds && count.rounds < rounds; ++i)
      play(setting, fmt::format("{}-{}", setting.duration, i), others, chance, count);
    std::cout << fmt::format("{} of {} rounds, {} answers\n", count.doubled, count.rounds,
                             count.answers);
    return count.doubled + count.answers == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "mixed_callers: " << error.what() << '\n';
    return 2;
  }
}
