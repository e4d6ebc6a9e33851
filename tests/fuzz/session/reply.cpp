#include "tests/fuzz/session/reply.hpp"

#include <array>

#include <fmt/format.h>

namespace memolock::fuzz {
namespace {

constexpr std::array<int64_t, 14> numbers{
    0,   1,     -1,         -2,        -3,        2,          5,
    500, 16384, 2147483647, INT64_MAX, INT64_MIN, 1700000000, 4611686018427387904};

constexpr std::array<std::string_view, 26> errors{
    "ERR unknown command 'EVAL', with args beginning with: 'x'",
    "ERR unknown command",
    "ERR",
    "",
    "LOADING Redis is loading the dataset in memory",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "NOSCRIPT No matching script.",
    "READONLY You can't write against a read only replica.",
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "NOAUTH Authentication required.",
    "WRONGPASS invalid username-password pair or user is disabled.",
    "NOPERM this user has no permissions to run the 'subscribe' command",
    "NOPERM",
    "NOPROTO unsupported protocol version",
    "EXECABORT Transaction discarded because of previous errors.",
    "BUSY Redis is busy running a script.",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "CLUSTERDOWN The cluster is down",
    "CROSSSLOT Keys in request don't hash to the same slot",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "MISCONF Redis is configured to save RDB snapshots",
    "NOREPLICAS Not enough good replicas to write.",
    "MOVED 1 two words:7",
    "ASK 99999 :0",
    "MOVED",
    "ERR \x1b[2J\xc2\x9b script: x"};

// Bytes that are not a reply, or only a part of one.
constexpr std::array<std::string_view, 16> lies{
    "$1073741824\r\nabc\r\n",
    "$1073741825\r\n",
    "$9223372036854775807\r\n",
    "*2147483647\r\n:1\r\n",
    "*9223372036854775807\r\n",
    "%9223372036854775807\r\n",
    "%4611686018427387904\r\n",
    ">9223372036854775807\r\n",
    "_5\r\n",
    "$5\r\nabc\r\n",
    "$2\r\nabcdef\r\n",
    "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
    ":99999999999999999999\r\n",
    "HTTP/1.1 400 Bad Request\r\n\r\n",
    "~1\r\n,1.5\r\n",
    "\r\n"};

std::string any_text(Chance& chance) {
  switch (chance.below(8)) {
    case 0:
      return "";
    case 1:
      return std::to_string(chance.one_of(numbers));
    case 2:
      return std::string(chance.below(200), '\0');
    case 3:
      return "\x1b[2Jno words";
    case 4:
      return std::string(65537 + chance.below(1000), 'x');
    case 5:
      return "message";
    case 6:
      return "released";
    default:
      return "0123456789abcdef0123456789abcdef";
  }
}

Reply any_reply(Chance& chance, int depth) {
  Reply reply;
  reply.kind = static_cast<Reply::Kind>(chance.below(9));
  reply.number = chance.one_of(numbers);
  if (reply.kind == Reply::Kind::string) reply.text = any_text(chance);
  if (reply.kind == Reply::Kind::status) reply.text = chance.is(50) ? "OK" : "QUEUED";
  if (reply.kind == Reply::Kind::error) reply.text = chance.one_of(errors);
  if (depth < 4 && reply.kind >= Reply::Kind::array)
    for (size_t left = chance.below(7); left > 0; --left)
      reply.elements.push_back(any_reply(chance, depth + 1));
  if (reply.kind == Reply::Kind::map && reply.elements.size() % 2 != 0) reply.elements.pop_back();
  return reply;
}

Reply redirection(Chance& chance, uint16_t port) {
  return Reply::error(fmt::format("{} {} {}:{}", chance.is(50) ? "MOVED" : "ASK",
                                  chance.below(16384), chance.is(50) ? "127.0.0.1" : "",
                                  chance.is(80) ? port : 1));
}

/// A string with one byte changed.
void change_text(Reply& reply, Chance& chance) {
  if (reply.text.empty()) {
    reply.text = any_text(chance);
  } else {
    reply.text[chance.below(reply.text.size())] = static_cast<char>(chance.below(256));
  }
}

void change_count(Reply& reply, Chance& chance) {
  if (chance.is(50)) {
    const auto at = static_cast<std::ptrdiff_t>(chance.below(reply.elements.size()));
    reply.elements.erase(reply.elements.begin() + at);
  } else {
    reply.elements.push_back(chance.is(50) ? reply.elements.front() : any_reply(chance, 0));
  }
  if (chance.is(20)) reply.elements.clear();
}

}  // namespace

std::string Reply::bytes() const {
  switch (kind) {
    case Kind::nil:
      return "$-1\r\n";
    case Kind::null_array:
      return "*-1\r\n";
    case Kind::integer:
      return fmt::format(":{}\r\n", number);
    case Kind::string:
      return fmt::format("${}\r\n{}\r\n", text.size(), text);
    case Kind::status:
      return fmt::format("+{}\r\n", text);
    case Kind::error:
      return fmt::format("-{}\r\n", text);
    case Kind::raw:
      return text;
    case Kind::array:
    case Kind::map:
    case Kind::push:
      break;
  }
  const char type = kind == Kind::array ? '*' : kind == Kind::map ? '%' : '>';
  const size_t count = kind == Kind::map ? elements.size() / 2 : elements.size();
  std::string all = fmt::format("{}{}\r\n", type, count);
  for (const Reply& element : elements) all += element.bytes();
  return all;
}

Spoiling any_spoiling(Chance& chance, uint16_t port) {
  constexpr std::array<double, 7> percents{0, 1, 4, 10, 25, 60, 100};
  return {chance.one_of(percents), chance.one_of(errors), port};
}

Reply spoilt(Reply reply, Chance& chance, const Spoiling& how) {
  // Usually changes an element of the reply.
  if (!reply.elements.empty() && chance.is(60)) {
    Reply& element = reply.elements[chance.below(reply.elements.size())];
    element = spoilt(std::move(element), chance, how);
    return reply;
  }
  switch (chance.below(9)) {
    case 8:
    case 0:
      return Reply::error(std::string(chance.is(60) ? how.error : chance.one_of(errors)));
    case 1:
      return redirection(chance, how.port);
    case 2:
      return {Reply::Kind::raw, 0, std::string(chance.one_of(lies)), {}};
    case 3:
      reply.kind = static_cast<Reply::Kind>(chance.below(9));
      return reply;
    case 4:
      if (!reply.elements.empty()) change_count(reply, chance);
      return reply;
    case 5:
      change_text(reply, chance);
      reply.number = chance.one_of(numbers);
      return reply;
    default:
      return any_reply(chance, 0);
  }
}

}  // namespace memolock::fuzz
