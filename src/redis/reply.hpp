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

/// The message for a reply whose type or length is not what the command requires.
inline constexpr const char* mismatch_message = "unexpected reply";

/// A reply has a type or length that the command does not permit, or is an error. The message does
/// not name the server; read_from() and RedisSession::with_context() add it.
class UnexpectedReply : public Error {
 public:
  enum class Kind {
    mismatch,  ///< it may be the reply to another command: the connection can no longer be used
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

/// A reply announces strings that are longer than permitted. The connection can no longer be used.
class OversizedReply : public Error {
 public:
  explicit OversizedReply(const std::string& message) : Error(Error::Kind::store, message) {}
};

/// A string in a reply.
struct RedisString {
  std::string text;   ///< the bytes, if there are at most 64 KiB
  Descriptor file;    ///< the bytes of a longer string, in an anonymous file; `text` is empty
  uint64_t size = 0;  ///< bytes
  uint64_t hash = 0;  ///< XXH3, as checksum() computes it
};

/// Calls `read` and returns its result. Turns an UnexpectedReply into Error(store) "SERVER: …".
template <typename Read>
auto read_from(std::string_view server, const Read& read) -> decltype(read()) {
  try {
    return read();
  } catch (const UnexpectedReply& reply) {
    reply.throw_from(server);
  }
}

class RedisReply;

/// The elements of an array, for range-based loops. There is no access by index, so that only
/// existing elements can be read.
class RedisArrayView {
 public:
  explicit RedisArrayView(const std::vector<RedisReply>& elements) : elements_(elements) {}
  [[nodiscard]] const RedisReply* begin() const;
  [[nodiscard]] const RedisReply* end() const;
  [[nodiscard]] size_t size() const;

 private:
  const std::vector<RedisReply>& elements_;
};

/// A message on a channel to which the connection is subscribed.
struct RedisMessage {
  std::string channel;
  std::string payload;  ///< empty if it has more than 64 KiB
};

/// One reply. The caller uses the accessor for the expected type; an accessor throws
/// UnexpectedReply if the reply has another type or length. The predicates (is_…, has_…) do not
/// throw.
class RedisReply {
 public:
  enum class Type {
    nil,
    integer,
    string,
    status,
    error,
    array,
    map,   ///< RESP3
    push,  ///< RESP3: an array that is not a reply to a command
  };

  RedisReply() = default;  ///< nil

  [[nodiscard]] Type type() const { return type_; }
  [[nodiscard]] bool is_nil() const { return type_ == Type::nil; }
  [[nodiscard]] bool is_error() const { return type_ == Type::error; }
  [[nodiscard]] bool is_push() const { return type_ == Type::push; }
  /// Whether it is a message to a subscriber; message() reads it.
  [[nodiscard]] bool is_message() const;
  /// Whether it is a string or status whose text is in memory.
  [[nodiscard]] bool has_text() const {
    return type_ == Type::status || (type_ == Type::string && !string_.file);
  }
  /// Whether it is a string or status with this text.
  [[nodiscard]] bool is_text(std::string_view text) const {
    return has_text() && string_.text == text;
  }
  /// The text of an error, escaped for display; null if the reply is not an error.
  [[nodiscard]] const std::string* error() const { return is_error() ? &string_.text : nullptr; }

  /// The value of an integer.
  [[nodiscard]] int64_t integer() const;
  /// The value of an integer, which must not be negative.
  [[nodiscard]] uint64_t count() const;
  /// The value of an integer, or of a string that contains one in decimal.
  [[nodiscard]] int64_t number() const;
  /// The text of a string of up to 64 KiB, or of a status.
  [[nodiscard]] const std::string& text() const;
  /// The same; null for nil.
  [[nodiscard]] const std::string* text_or_nil() const;
  /// The same; empty for nil.
  [[nodiscard]] const std::string& text_or_empty() const;
  /// The same; throws unless it is one of `texts`.
  [[nodiscard]] const std::string& one_of(std::initializer_list<std::string_view> texts) const;
  /// A string of any length.
  [[nodiscard]] const RedisString& string() const;
  /// The same, moved out of the reply; nothing for nil.
  [[nodiscard]] std::optional<RedisString> take_string();

  /// The elements of an array or push.
  [[nodiscard]] RedisArrayView list() const;
  /// The names and values of a map, or of the array that RESP2 uses instead.
  [[nodiscard]] std::vector<std::pair<const RedisReply*, const RedisReply*>> pairs() const;
  /// The elements of an array or push, of which there must be exactly `count`.
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
  /// The first `count` elements of an array or push, which may have more.
  template <size_t count>
  [[nodiscard]] std::array<const RedisReply*, count> first() const {
    require_length(list().size() >= count);
    return front<count>();
  }
  /// The elements of an array, of which there must be exactly `count`, moved out of the reply.
  [[nodiscard]] std::vector<RedisReply> take_elements(size_t count);

  /// The channel and payload of a message; see is_message().
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
  RedisString string_;  // also the text of a status or error
  std::vector<RedisReply> elements_;
};

inline const RedisReply* RedisArrayView::begin() const { return elements_.data(); }
inline const RedisReply* RedisArrayView::end() const { return elements_.data() + elements_.size(); }
inline size_t RedisArrayView::size() const { return elements_.size(); }

/// The text of the first error among `replies`; null if there is none.
[[nodiscard]] const std::string* first_error(std::span<const RedisReply> replies);

/// The replies to several commands, taken in the order of the commands.
class RedisReplies {
 public:
  RedisReplies() = default;
  explicit RedisReplies(std::vector<RedisReply> replies) : replies_(std::move(replies)) {}

  /// The next reply. Throws UnexpectedReply if there is none.
  [[nodiscard]] RedisReply next();
  /// The next `count` replies.
  [[nodiscard]] RedisReplies next(size_t count);
  /// The text of the first error among the replies that have not been taken; null if there is none.
  [[nodiscard]] const std::string* first_error() const { return memolock::first_error(rest()); }
  /// Calls `visit` with the text of each error among the replies that have not been taken.
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

/// Reads the replies of one connection from its socket, which must outlive this object. Used by one
/// thread. Throws Error as the socket does, and Error(store) for a malformed reply. In both cases,
/// the connection can no longer be used.
class RedisReplyReader {
 public:
  explicit RedisReplyReader(RedisSocket& from);

  /// The next reply, which may take up to 64 MiB of memory.
  [[nodiscard]] RedisReply next();
  /// The maximum total size of the strings over 64 KiB in one reply, in bytes; 1 MiB by default.
  /// next() throws OversizedReply before it reads a string that exceeds this.
  void limit_large_strings(uint64_t bytes) { max_string_bytes_ = bytes; }
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
  std::unique_ptr<char[]> buffer_;  // received data; [begin_, end_) has not been read
  size_t begin_ = 0, end_ = 0;
  uint64_t budget_ = 0;  // bytes that the rest of this reply may take in memory
  uint64_t max_string_bytes_ = 1ULL << 20;
  uint64_t string_budget_ = 0;  // the same for files
  bool is_message_ = false;     // the reply is a message, of which a large payload is discarded
};

}  // namespace memolock
