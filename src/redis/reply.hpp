// The replies of a Redis server: RESP2 and the part of RESP3 that memolock uses, read in bounded
// memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/redis/socket.hpp"
#include "src/system/descriptor.hpp"
#include "src/system/error.hpp"

struct redisReader;

namespace memolock {

/// What is wrong with a reply of another type or length than the command calls for.
inline constexpr const char* mismatch_message = "the answer is not what was asked for";

/// A reply has another type or length than the command calls for, or is an error. The message names
/// no server yet; read_from and RedisSession::with_context add it.
class UnexpectedReply : public Error {
 public:
  enum class Kind {
    mismatch,  ///< it may be the reply to another command: the connection is of no more use
    error,     ///< the connection stays usable
  };
  UnexpectedReply(Kind kind, const std::string& message)
      : Error(Error::Kind::store, message), kind_(kind) {}
  [[nodiscard]] bool is_mismatch() const { return kind_ == Kind::mismatch; }
  /// Throws Error(store) "SERVER: …", escaped.
  [[noreturn]] void throw_from(std::string_view server) const;

 private:
  Kind kind_;
};

/// A reply announces longer strings than may be read. The connection is of no more use.
class OversizedReply : public Error {
 public:
  explicit OversizedReply(const std::string& message) : Error(Error::Kind::store, message) {}
};

/// A string in a reply.
struct RedisString {
  std::string text;   ///< up to 64 KiB of bytes
  Descriptor file;    ///< of a longer string, whose text is empty: an anonymous file with its bytes
  uint64_t size = 0;  ///< bytes
  uint64_t hash = 0;  ///< XXH3, as `checksum` has it
};

/// What `read` returns; an UnexpectedReply becomes Error(store) "SERVER: …".
template <typename Read>
auto read_from(std::string_view server, const Read& read) -> decltype(read()) {
  try {
    return read();
  } catch (const UnexpectedReply& reply) {
    reply.throw_from(server);
  }
}

class RedisReply;

/// The elements of an array, for range-based loops only: without an index, none that is missing can
/// be read.
class RedisArrayView {
 public:
  explicit RedisArrayView(const std::vector<RedisReply>& elements) : elements_(elements) {}
  [[nodiscard]] const RedisReply* begin() const;
  [[nodiscard]] const RedisReply* end() const;
  [[nodiscard]] size_t size() const;

 private:
  const std::vector<RedisReply>& elements_;
};

/// A message on a channel that a client has subscribed to.
struct RedisMessage {
  std::string channel;
  std::string payload;  ///< empty when it has more than 64 KiB
};

/// One reply. It is read by the accessor for the type that it must have: each throws
/// UnexpectedReply when it has another type or length. The queries (is_…, has_…) do not throw.
class RedisReply {
 public:
  enum class Type {
    nil,
    integer,
    string,
    status,
    error,
    array,
    map,   ///< of RESP3
    push,  ///< of RESP3: an array that is no reply to a command
  };

  RedisReply() = default;  ///< nil

  [[nodiscard]] Type type() const { return type_; }
  [[nodiscard]] bool is_nil() const { return type_ == Type::nil; }
  [[nodiscard]] bool is_error() const { return type_ == Type::error; }
  [[nodiscard]] bool is_push() const { return type_ == Type::push; }
  /// Whether it is a message to a subscriber; message() reads it.
  [[nodiscard]] bool is_message() const;
  /// A string or status whose text is in memory.
  [[nodiscard]] bool has_text() const {
    return type_ == Type::status || (type_ == Type::string && !string_.file);
  }
  /// A string or status with this text.
  [[nodiscard]] bool is_text(std::string_view text) const {
    return has_text() && string_.text == text;
  }
  /// The text of an error, escaped for display; null when the reply is not an error.
  [[nodiscard]] const std::string* error() const { return is_error() ? &string_.text : nullptr; }

  /// Of an integer.
  [[nodiscard]] int64_t integer() const;
  /// Of an integer that is not negative.
  [[nodiscard]] uint64_t count() const;
  /// Of an integer, or a string of decimal digits.
  [[nodiscard]] int64_t number() const;
  /// Of a string of up to 64 KiB, or a status.
  [[nodiscard]] const std::string& text() const;
  /// The same; null for nil.
  [[nodiscard]] const std::string* text_or_nil() const;
  /// The same; empty for nil.
  [[nodiscard]] const std::string& text_or_empty() const;
  /// The same, which must be one of `texts`.
  [[nodiscard]] const std::string& one_of(std::initializer_list<std::string_view> texts) const;
  /// Of a string.
  [[nodiscard]] const RedisString& string() const;
  /// The same, moved out of the reply; nothing for nil.
  [[nodiscard]] std::optional<RedisString> take_string();

  /// Of an array or push.
  [[nodiscard]] RedisArrayView list() const;
  /// Names and values of a map, or of an array that RESP2 has in its place.
  [[nodiscard]] std::vector<std::pair<const RedisReply*, const RedisReply*>> pairs() const;
  /// The elements of an array or push that has exactly `count`.
  template <size_t count>
  [[nodiscard]] std::array<const RedisReply*, count> array() const {
    require_length(list().size() == count);
    return front<count>();
  }
  template <size_t count>
  [[nodiscard]] std::array<RedisReply*, count> array() {
    require_length(list().size() == count);
    std::array<RedisReply*, count> all;
    for (size_t i = 0; i < count; ++i) all[i] = &elements_[i];
    return all;
  }
  /// The first `count` elements of an array or push that may have more.
  template <size_t count>
  [[nodiscard]] std::array<const RedisReply*, count> first() const {
    require_length(list().size() >= count);
    return front<count>();
  }
  /// The elements of an array that has exactly `count`, moved out of the reply.
  [[nodiscard]] std::vector<RedisReply> take_elements(size_t count);

  /// The message that this is.
  [[nodiscard]] RedisMessage message() const;

  /// Throws UnexpectedReply.
  [[noreturn]] void throw_unexpected() const;

 private:
  friend class RedisReplyReader;

  static void require_length(bool holds);
  [[nodiscard]] bool begins_message() const;
  template <size_t count>
  [[nodiscard]] std::array<const RedisReply*, count> front() const {
    std::array<const RedisReply*, count> some;
    for (size_t i = 0; i < count; ++i) some[i] = &elements_[i];
    return some;
  }

  Type type_ = Type::nil;
  int64_t integer_ = 0;
  RedisString string_;  // of a status or error, too
  std::vector<RedisReply> elements_;
};

inline const RedisReply* RedisArrayView::begin() const { return elements_.data(); }
inline const RedisReply* RedisArrayView::end() const { return elements_.data() + elements_.size(); }
inline size_t RedisArrayView::size() const { return elements_.size(); }

/// The text of the first error among them; null when there is none.
[[nodiscard]] const std::string* first_error(std::span<const RedisReply> replies);

/// The replies to several commands, taken in the order of the commands.
class RedisReplies {
 public:
  RedisReplies() = default;
  explicit RedisReplies(std::vector<RedisReply> replies) : replies_(std::move(replies)) {}

  /// The next one. Throws UnexpectedReply when there is none.
  [[nodiscard]] RedisReply next();
  /// The next `count` of them.
  [[nodiscard]] RedisReplies next(size_t count);
  /// As the function above, of those that have not been taken.
  [[nodiscard]] const std::string* first_error() const { return memolock::first_error(rest()); }
  /// Calls `visit` with the text of each error among those.
  template <typename Visit>
  void each_error(const Visit& visit) const {
    for (const RedisReply& reply : rest())
      if (const std::string* const error = reply.error()) visit(*error);
  }

 private:
  [[nodiscard]] std::span<const RedisReply> rest() const {
    return std::span(replies_).subspan(taken_);
  }

  std::vector<RedisReply> replies_;
  size_t taken_ = 0;
};

/// Reads the replies of one connection from its socket, which must outlive this. Used by one
/// thread. Throws Error as the socket does, and Error(store) for a reply that is malformed; neither
/// leaves a connection that can be used.
class RedisReplyReader {
 public:
  explicit RedisReplyReader(RedisSocket& from);

  /// The next reply, which may have 64 MiB in memory.
  [[nodiscard]] RedisReply next();
  /// How many bytes all strings over 64 KiB in one reply may have; 1 MiB by default. With more,
  /// next() throws OversizedReply and has written none of the string.
  void limit_strings(uint64_t bytes) { max_string_bytes_ = bytes; }
  /// Whether part of the next reply has been received.
  [[nodiscard]] bool has_begun() const { return begin_ < end_; }

 private:
  struct FreeParser {
    void operator()(redisReader* parser) const;
  };
  struct Decoder;

  RedisReply read_element(int depth);
  RedisReply read_elements(RedisReply::Type type, size_t count, int depth);
  RedisReply decode(size_t size);
  RedisReply read_to_file(uint64_t size);
  RedisReply skip_string(uint64_t size);
  void end_string();
  std::string_view read_line();
  void ensure_buffered(size_t size);
  void receive();
  void consume(size_t size);
  void charge(uint64_t bytes);
  [[nodiscard]] std::string_view buffered() const {
    return {buffer_.get() + begin_, end_ - begin_};
  }

  RedisSocket* from_;
  std::unique_ptr<redisReader, FreeParser> parser_;
  std::unique_ptr<char[]> buffer_;  // what was received; [begin_, end_) has not been read
  size_t begin_ = 0, end_ = 0;
  uint64_t budget_ = 0;  // bytes that the rest of this reply may take in memory
  uint64_t max_string_bytes_ = 1ULL << 20;
  uint64_t string_budget_ = 0;  // and in files
  bool is_message_ = false;     // this reply, whose payload is not kept
};

}  // namespace memolock
