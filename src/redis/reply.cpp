#include "src/redis/reply.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <new>
#include <optional>

#include <fmt/format.h>
#include <hiredis/read.h>

#include "src/entry/record.hpp"
#include "src/system/anonymous_file.hpp"
#include "src/system/error.hpp"
#include "src/system/text.hpp"
#include "src/system/units.hpp"

namespace memolock {
namespace {

constexpr size_t buffer_size = 256U << 10;
// The longest string that is stored in memory, and the longest line.
constexpr size_t largest_text = 64U << 10;
constexpr uint64_t largest_reply = 64U << 20;
constexpr int deepest = 8;

constexpr const char* malformed = "does not speak the Redis protocol";
constexpr const char* too_large = "sent a reply that is too large";

/// The value of a decimal integer; nothing for anything else.
std::optional<int64_t> whole_number(std::string_view digits) {
  int64_t value = 0;
  const char* const end = digits.data() + digits.size();
  const auto [rest, error] = std::from_chars(digits.data(), end, value);
  if (error != std::errc() || rest != end) return std::nullopt;
  return value;
}

/// The number in a line such as "$12\r\n", at least -1; nothing if the line is malformed.
std::optional<int64_t> number_in(std::string_view line) {
  const auto value = whole_number(line.substr(1, line.size() - 3));
  return value >= -1 ? value : std::nullopt;
}

bool is_reply_type(char c) {
  return std::string_view("+-:$*_%>").find(c) != std::string_view::npos;
}

}  // namespace

// ---- reading what is in a reply ----

void UnexpectedReply::throw_from(std::string_view server) const {
  constexpr size_t max_length = 200;
  const std::string_view message = what();
  throw store_error(fmt::format("{}: {}", server, escape_controls(message.substr(0, max_length))));
}

void RedisReply::throw_unexpected() const {
  if (is_error()) throw UnexpectedReply(UnexpectedReply::Kind::error, string_.text);
  throw UnexpectedReply(UnexpectedReply::Kind::mismatch, mismatch_message);
}

void RedisReply::require_length(bool holds) {
  if (!holds) RedisReply().throw_unexpected();
}

int64_t RedisReply::integer() const {
  if (type_ != Type::integer) throw_unexpected();
  return integer_;
}

uint64_t RedisReply::count() const {
  if (integer() < 0) throw_unexpected();
  return static_cast<uint64_t>(integer_);
}

int64_t RedisReply::number() const {
  if (type_ == Type::integer) return integer_;
  const auto value = whole_number(text());
  if (!value) throw_unexpected();
  return *value;
}

const std::string& RedisReply::text() const {
  if (!has_text()) throw_unexpected();
  return string_.text;
}

const std::string* RedisReply::text_or_nil() const { return is_nil() ? nullptr : &text(); }

const std::string& RedisReply::text_or_empty() const { return is_nil() ? string_.text : text(); }

const std::string& RedisReply::one_of(std::initializer_list<std::string_view> texts) const {
  if (std::find(texts.begin(), texts.end(), text()) == texts.end()) throw_unexpected();
  return text();
}

const RedisString& RedisReply::string() const {
  if (type_ != Type::string) throw_unexpected();
  return string_;
}

std::optional<RedisString> RedisReply::take_string() {
  if (is_nil()) return std::nullopt;
  (void)string();
  return std::move(string_);
}

RedisArrayView RedisReply::list() const {
  if (type_ != Type::array && type_ != Type::push) throw_unexpected();
  return RedisArrayView(elements_);
}

std::vector<std::pair<const RedisReply*, const RedisReply*>> RedisReply::pairs() const {
  if (type_ != Type::map) (void)list();
  require_length(elements_.size() % 2 == 0);
  std::vector<std::pair<const RedisReply*, const RedisReply*>> all;
  for (auto at = elements_.begin(); at != elements_.end(); at += 2) all.emplace_back(&*at, &at[1]);
  return all;
}

std::vector<RedisReply> RedisReply::take_elements(size_t count) {
  if (type_ != Type::array) throw_unexpected();
  require_length(elements_.size() == count);
  return std::move(elements_);
}

bool RedisReply::is_message() const {
  if (type_ != Type::push && type_ != Type::array) return false;
  return elements_.size() == 3 && begins_message();
}

/// Whether its first element says that it is a message.
bool RedisReply::begins_message() const {
  const RedisReply& kind = elements_.front();
  return kind.is_text("message") || kind.is_text("smessage");
}

RedisMessage RedisReply::message() const {
  const auto [kind, channel, payload] = array<3>();
  return {channel->text(), payload->has_text() ? payload->text() : payload->string().text};
}

const std::string* first_error(std::span<const RedisReply> replies) {
  const auto found = std::find_if(replies.begin(), replies.end(),
                                  [](const RedisReply& reply) { return reply.is_error(); });
  return found == replies.end() ? nullptr : found->error();
}

RedisReply RedisReplies::next() {
  if (taken_ == replies_.size()) RedisReply().throw_unexpected();
  return std::move(replies_[taken_++]);
}

RedisReplies RedisReplies::next(size_t count) {
  std::vector<RedisReply> some;
  some.reserve(count);
  while (some.size() < count) some.push_back(next());
  return RedisReplies(std::move(some));
}

// ---- reading replies from a connection ----

/// Decodes simple replies and short strings with hiredis. Arrays are decoded here, because hiredis
/// would hold a whole array in memory.
struct RedisReplyReader::Decoder {
  static RedisReply& target(const redisReadTask* task) {
    return *static_cast<RedisReply*>(task->privdata);
  }

  static RedisReply::Type type_of(int type) {
    if (type == REDIS_REPLY_STATUS) return RedisReply::Type::status;
    if (type == REDIS_REPLY_ERROR) return RedisReply::Type::error;
    return RedisReply::Type::string;
  }

  static void* on_string(const redisReadTask* task, char* bytes, size_t size) {
    RedisReply& reply = target(task);
    RedisString& string = reply.string_;
    reply.type_ = type_of(task->type);
    string.text.assign(bytes, size);
    // An error is text for people to read, so it is escaped.
    if (reply.type_ == RedisReply::Type::error) string.text = escape_controls(string.text);
    if (reply.type_ != RedisReply::Type::string) return &reply;
    string.size = size;
    string.hash = checksum(string.text);
    return &reply;
  }

  static void* on_integer(const redisReadTask* task, long long value) {
    target(task).type_ = RedisReply::Type::integer;
    target(task).integer_ = value;
    return task->privdata;
  }

  static void* on_nil(const redisReadTask* task) { return task->privdata; }

  static void on_free(void* /*reply*/) {}

  static redisReplyObjectFunctions* functions() {
    static redisReplyObjectFunctions functions = [] {
      redisReplyObjectFunctions ours{};
      ours.createString = on_string;
      ours.createInteger = on_integer;
      ours.createNil = on_nil;
      ours.freeObject = on_free;
      return ours;
    }();
    return &functions;
  }
};

void RedisReplyReader::FreeParser::operator()(redisReader* parser) const {
  redisReaderFree(parser);
}

RedisReplyReader::RedisReplyReader(RedisSocket& from)
    : from_(&from),
      parser_(redisReaderCreateWithFunctions(Decoder::functions())),
      buffer_(std::make_unique_for_overwrite<char[]>(buffer_size)) {
  if (!parser_) throw std::bad_alloc();
}

RedisReply RedisReplyReader::next() {
  budget_ = largest_reply;
  string_budget_ = max_string_bytes_;
  is_message_ = false;
  from_->begin_reply();
  return read_element(0);
}

RedisReply RedisReplyReader::read_element(int depth) {
  charge(sizeof(RedisReply));
  const std::string_view head = read_line();
  if (head[0] == '+' || head[0] == '-' || head[0] == ':') return decode(head.size());
  // hiredis 0.14 does not know RESP3
  if (head[0] == '_') {
    if (head.size() != 3) from_->fail(malformed);
    consume(head.size());
    return {};
  }
  const char type = head[0];
  const auto number = number_in(head);
  if (!number) from_->fail(malformed);
  if (type == '$') {
    if (*number < 0) return decode(head.size());
    const auto size = static_cast<uint64_t>(*number);
    if (size <= largest_text) return decode(head.size() + size + 2);
    consume(head.size());
    return read_to_file(size);
  }
  consume(head.size());
  if (*number < 0) return {};
  if (depth == deepest) from_->fail(malformed);
  // more elements than this reply may still hold in memory; also prevents 2 * count from
  // overflowing
  if (static_cast<uint64_t>(*number) > budget_ / sizeof(RedisReply)) from_->fail(too_large);
  const auto count = static_cast<size_t>(*number);
  if (type == '%') return read_elements(RedisReply::Type::map, 2 * count, depth);
  return read_elements(type == '>' ? RedisReply::Type::push : RedisReply::Type::array, count,
                       depth);
}

RedisReply RedisReplyReader::read_elements(RedisReply::Type type, size_t count, int depth) {
  RedisReply reply;
  reply.type_ = type;
  constexpr size_t usual = 32;  // the server may announce any count
  reply.elements_.reserve(std::min(count, usual));
  while (reply.elements_.size() < count) {
    reply.elements_.push_back(read_element(depth + 1));
    if (depth == 0 && reply.elements_.size() == 1) is_message_ = reply.begins_message();
  }
  return reply;
}

/// The reply in the next `size` bytes.
RedisReply RedisReplyReader::decode(size_t size) {
  charge(size);
  ensure_buffered(size);
  const std::string_view bytes = buffered().substr(0, size);
  RedisReply reply;
  void* made = nullptr;
  parser_->privdata = &reply;
  const bool sound = bytes.ends_with("\r\n") &&
                     redisReaderFeed(parser_.get(), bytes.data(), size) == REDIS_OK &&
                     redisReaderGetReply(parser_.get(), &made) == REDIS_OK && made == &reply;
  if (!sound) from_->fail(malformed);
  consume(size);
  return reply;
}

/// Discards the next `size` bytes, a string. Returns a reply that has only its size.
RedisReply RedisReplyReader::skip_string(uint64_t size) {
  from_->expect_download();
  RedisReply reply;
  reply.type_ = RedisReply::Type::string;
  reply.string_.size = size;
  for (uint64_t left = size; left > 0;) {
    if (buffered().empty()) receive();
    const size_t part = std::min<uint64_t>(buffered().size(), left);
    left -= part;
    consume(part);
  }
  end_string();
  return reply;
}

void RedisReplyReader::end_string() {
  ensure_buffered(2);
  if (!buffered().starts_with("\r\n")) from_->fail(malformed);
  consume(2);
}

/// A string of the next `size` bytes, which are written to a file as they arrive.
RedisReply RedisReplyReader::read_to_file(uint64_t size) {
  if (is_message_) return skip_string(size);
  if (size > string_budget_)
    throw OversizedReply(from_->error_message(
        fmt::format("sent more than {} in one reply", format_size(max_string_bytes_))));
  string_budget_ -= size;
  from_->expect_download();
  RedisReply reply;
  reply.type_ = RedisReply::Type::string;
  RedisString& string = reply.string_;
  string.size = size;
  string.file = temporary_file();
  if (!string.file)
    from_->fail("cannot create a temporary file in TMPDIR, /tmp or memory: " + error_text(errno));
  Checksum hash;
  for (uint64_t done = 0; done < size;) {
    if (buffered().empty()) receive();
    const std::string_view part = buffered().substr(0, size - done);
    if (const int error = write_all_at(string.file.get(), part, done))
      from_->fail("cannot write a value to a temporary file in TMPDIR or /tmp: " +
                  error_text(error));
    hash.add(part);
    done += part.size();
    consume(part.size());
  }
  end_string();
  string.hash = hash.value();
  return reply;
}

/// The next line with its end. It stays in the buffer.
std::string_view RedisReplyReader::read_line() {
  for (size_t seen = 0;;) {
    if (!buffered().empty() && !is_reply_type(buffered()[0])) from_->fail(malformed);
    const size_t end = buffered().find("\r\n", seen);
    if (end != std::string_view::npos) return buffered().substr(0, end + 2);
    seen = buffered().empty() ? 0 : buffered().size() - 1;
    if (seen > largest_text) from_->fail(malformed);
    receive();
  }
}

/// Receives until at least `size` bytes are in the buffer.
void RedisReplyReader::ensure_buffered(size_t size) {
  while (buffered().size() < size) receive();
}

/// Receives at least one byte into the buffer.
void RedisReplyReader::receive() {
  if (begin_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  const size_t count = from_->receive(buffer_.get() + end_, buffer_size - end_);
  if (count == 0) from_->fail("closed the connection");
  end_ += count;
}

/// Removes the first `size` bytes, which have been decoded, from the buffer.
void RedisReplyReader::consume(size_t size) {
  begin_ += size;
  from_->add_read(size);
}

/// Subtracts `bytes` from the memory that this reply may still take.
void RedisReplyReader::charge(uint64_t bytes) {
  if (bytes > budget_) from_->fail(too_large);
  budget_ -= bytes;
}

}  // namespace memolock
