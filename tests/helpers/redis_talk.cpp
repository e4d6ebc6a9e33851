// redis_talk [OPTION…] URL [LINE…]: sends commands to a Redis server over one RedisConnection.
//
// Each LINE, or without any each line of stdin, is a command, its words separated by blanks. A word
// @PATH stands for the content of that file, which is streamed. Commands are sent together; at the
// end their replies are printed in order. Instead of a command:
//   .read [N]     print the next reply, or the next N replies
//   .save PATH    write the bytes of the next reply, which must be a string, to a file
//   .wait D       wait for the next reply for D, and print how the wait ends
//   .patient      ignore interruptions from here on
//   .rss          print this process's peak memory in KiB
// Options:
//   --timeout D, --tls-ca P, --tls-cert P, --tls-key P, --tls-server-name N
//   --interrupt D   interrupt the connection after D
//   --shown         only print the address as messages show it, and its URL
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <sstream>

#include <fmt/format.h>

#include "src/entry/record.hpp"
#include "src/redis/connection.hpp"
#include "src/system/error.hpp"
#include "src/system/units.hpp"

namespace memolock {
namespace {

struct Options {
  std::string url;
  std::deque<std::string> lines;
  Nanoseconds timeout = std::chrono::seconds(30);  // a busy machine is slow
  Nanoseconds interrupt = forever;
  RedisTls tls;
  bool only_show = false;
};

Nanoseconds duration(const std::string& text) {
  const auto length = parse_duration(text);
  if (!length) throw usage_error("no duration: " + text);
  return *length;
}

Options read_options(int argc, char** argv) {
  Options options;
  const std::map<std::string, std::string*> texts{{"--tls-ca", &options.tls.ca},
                                                  {"--tls-cert", &options.tls.cert},
                                                  {"--tls-key", &options.tls.key},
                                                  {"--tls-server-name", &options.tls.server_name}};
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--shown") {
      options.only_show = true;
    } else if (word == "--timeout") {
      options.timeout = duration(argv[++i]);
    } else if (word == "--interrupt") {
      options.interrupt = duration(argv[++i]);
    } else if (texts.contains(word)) {
      *texts.at(word) = argv[++i];
    } else if (options.url.empty()) {
      options.url = word;
    } else {
      options.lines.push_back(word);
    }
  }
  return options;
}

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream stream(line);
  return {std::istream_iterator<std::string>(stream), {}};
}

/// Prints a reply on one line, the elements of an array indented below it.
void print(const RedisReply& reply, size_t indent = 0) {
  fmt::print("{:{}}", "", indent);
  switch (reply.type()) {
    case RedisReply::Type::nil:
      fmt::print("nil\n");
      break;
    case RedisReply::Type::integer:
      fmt::print(":{}\n", reply.integer());
      break;
    case RedisReply::Type::status:
      fmt::print("+{}\n", reply.text());
      break;
    case RedisReply::Type::error:
      fmt::print("-{}\n", *reply.error());
      break;
    case RedisReply::Type::string:
      if (reply.has_text()) {
        fmt::print("\"{}\"\n", reply.text());
      } else {
        fmt::print("a file of {} bytes\n", reply.string().size);
      }
      break;
    case RedisReply::Type::array:
    case RedisReply::Type::push:
      fmt::print("*{}\n", reply.list().size());
      for (const RedisReply& element : reply.list()) print(element, indent + 2);
      break;
    case RedisReply::Type::map:
      fmt::print("%{}\n", reply.pairs().size());
      for (const auto& [name, value] : reply.pairs()) {
        print(*name, indent + 2);
        print(*value, indent + 2);
      }
      break;
  }
}

/// Writes the bytes of a string to `path`. Throws unless they have the size and the hash that the
/// reply reports.
void save(const RedisString& reply, const std::string& path) {
  std::ofstream to(path, std::ios::binary);
  std::vector<char> buffer(64U << 10);
  Checksum hash;
  uint64_t size = 0;
  const auto add = [&](std::string_view bytes) {
    to << bytes;
    hash.add(bytes);
    size += bytes.size();
  };
  add(reply.text);
  while (reply.file) {
    const ssize_t got = read_all_at(reply.file.get(), buffer.data(), buffer.size(), size);
    if (got <= 0) break;
    add({buffer.data(), static_cast<size_t>(got)});
  }
  if (!to.flush()) throw store_error("cannot write " + path);
  if (size != reply.size || hash.value() != reply.hash)
    throw store_error("the reply's size or hash is wrong");
}

class Talk {
 public:
  Talk(const Options& options, const RedisAddress& address)
      : connection_(address, options.timeout, {timer(options.interrupt)}) {
    connection_.limit_large_strings(1ULL << 30);
  }

  void line(const std::string& line) {
    const std::vector<std::string> words = words_of(line);
    if (words.empty()) return;
    if (!words[0].starts_with('.')) return queue(words);
    if (words[0] == ".read") return read(words.size() > 1 ? std::stoul(words[1]) : 1);
    if (words[0] == ".save") return save(next().string(), words.at(1));
    if (words[0] == ".wait") return wait(duration(words.at(1)));
    if (words[0] == ".patient") return connection_.set_wait_limit({});
    if (words[0] == ".rss") return print_peak();
    throw usage_error("what is " + line);
  }

  void read(size_t count) {
    for (; count > 0; --count) print(next());
  }
  void read_rest() { read(due_); }

 private:
  int timer(Nanoseconds length) {
    if (length == forever) return -1;
    timer_.reset(timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC));
    itimerspec spec{};
    spec.it_value.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(length).count();
    spec.it_value.tv_nsec = (length % std::chrono::seconds(1)).count();
    timerfd_settime(timer_.get(), 0, &spec, nullptr);
    return timer_.get();
  }

  void queue(const std::vector<std::string>& words) {
    std::vector<RedisArgument> command;
    for (const std::string& word : words) {
      if (!word.starts_with('@')) {
        command.emplace_back(word);
        continue;
      }
      files_.emplace_back(open(&word[1], O_RDONLY | O_CLOEXEC));
      struct stat info {};
      if (fstat(files_.back().get(), &info) != 0) throw system_error("cannot open " + word, errno);
      const auto size = static_cast<uint64_t>(info.st_size);
      command.push_back(RedisArgument::of_file(files_.back().get(), 0, size));
    }
    connection_.queue(command);
    ++due_;
  }

  RedisReply next() {
    if (due_ > 0) --due_;
    return connection_.read_reply();
  }

  void wait(Nanoseconds length) {
    switch (connection_.await_reply(timer_.get(), after(boot_now(), length))) {
      case WaitEnd::readable:
        fmt::print("readable\n");
        break;
      case WaitEnd::interrupted:
        fmt::print("interrupted\n");
        break;
      case WaitEnd::timed_out:
        fmt::print("timed out\n");
        break;
    }
  }

  static void print_peak() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    fmt::print("{}\n", usage.ru_maxrss);
  }

  Descriptor timer_;
  std::vector<Descriptor> files_;
  RedisConnection connection_;
  size_t due_ = 0;
};

void run(const Options& options) {
  if (options.only_show) fmt::print("{}\n", without_password(options.url));
  RedisAddress address = parse_redis_url(options.url);
  if (options.only_show) {
    fmt::print("{}\n{}\n", address.shown(), address.url());
    return;
  }
  address.tls = options.tls;
  Talk talk(options, address);
  for (const std::string& line : options.lines) talk.line(line);
  std::string line;
  while (options.lines.empty() && std::getline(std::cin, line)) talk.line(line);
  talk.read_rest();
}

}  // namespace
}  // namespace memolock

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  setvbuf(stdout, nullptr, _IOLBF, 0);
  try {
    memolock::run(memolock::read_options(argc, argv));
    return 0;
  } catch (const memolock::Error& error) {
    constexpr const char* kinds[] = {"usage", "store", "interrupted"};
    fmt::print(stderr, "{}: {}\n", kinds[static_cast<size_t>(error.kind())], error.what());
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
  }
  return 1;
}
