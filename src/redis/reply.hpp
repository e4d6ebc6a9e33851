// What a Redis server answers: RESP2, and what we see of RESP3, read in little memory.
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

/// What is wrong with an answer of another kind, or with more or fewer elements, than its question.
inline constexpr const char* misfit_in_words = "the answer is not what was asked for";

/// A server has answered something else than it was asked for, or with an error; not yet named.
/// RedisSession::about adds who, and about what.
class UnexpectedReply : public Error {
 public:
  enum class Kind { misfit, refusal };
  UnexpectedReply(Kind kind, const std::string& words)
      : Error(Error::Kind::store, words), kind_(kind) {}
  /// Of a refusal the connection is none the worse; a misfit may be the answer to something else.
  [[nodiscard]] bool is_misfit() const { return kind_ == Kind::misfit; }
  [[noreturn]] void throw_named(std::string_view who) const;

 private:
  Kind kind_;
};

/// A reply claims more than was to be read of one. The connection is of no more use.
class OversizedReply : public Error {
 public:
  explicit OversizedReply(const std::string& words) : Error(Error::Kind::store, words) {}
};

/// A string as a reply has it.
struct RedisString {
  std::string text;   ///< up to 64 KiB of bytes
  Descriptor file;    ///< instead of a longer text: a nameless file with its bytes
  uint64_t size = 0;  ///< bytes
  uint64_t hash = 0;  ///< XXH3, as `checksum` has it
};

/// What `read` returns; an UnexpectedReply becomes Error(store) "WHO: …".
template <typename Read>
auto read_from(std::string_view who, const Read& read) -> decltype(read()) {
  try {
    return read();
  } catch (const UnexpectedReply& reply) {
    reply.throw_named(who);
  }
}

class RedisReply;

/// What is in an array, to be gone through: nobody can take an element of it that is not there.
class RedisList {
 public:
  explicit RedisList(const std::vector<RedisReply>& elements) : elements_(elements) {}
  [[nodiscard]] const RedisReply* begin() const;
  [[nodiscard]] const RedisReply* end() const;
  [[nodiscard]] size_t size() const;

 private:
  const std::vector<RedisReply>& elements_;
};

/// What is in a reply is read by what it must be. Each reader but the simple queries throws
/// UnexpectedReply when the reply is of another kind or length.
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
    push,  ///< an array that answers nothing: of RESP3
  };

  RedisReply() = default;  ///< nil

  [[nodiscard]] Type type() const { return type_; }
  [[nodiscard]] bool is_nil() const { return type_ == Type::nil; }
  [[nodiscard]] bool is_error() const { return type_ == Type::error; }
  /// A string or status whose text is in memory.
  [[nodiscard]] bool has_text() const {
    return type_ == Type::status || (type_ == Type::string && !string_.file);
  }
  /// A string or status with this text.
  [[nodiscard]] bool is_text(std::string_view text) const {
    return has_text() && string_.text == text;
  }
  /// The text of an error, escaped, fit to be shown; null: it is none.
  [[nodiscard]] const std::string* error() const { return is_error() ? &string_.text : nullptr; }

  /// Of an integer.
  [[nodiscard]] int64_t integer() const;
  /// Of an integer that counts something.
  [[nodiscard]] uint64_t count() const;
  /// Of an integer, or a string of decimal digits.
  [[nodiscard]] int64_t number() const;
  /// Of a string of up to 64 KiB, or a status.
  [[nodiscard]] const std::string& text() const;
  /// The same; null: nil.
  [[nodiscard]] const std::string* text_or_nil() const;
  /// The same; empty: nil.
  [[nodiscard]] const std::string& text_or_empty() const;
  /// The same when it is one of these.
  [[nodiscard]] const std::string& one_of(std::initializer_list<std::string_view> texts) const;
  /// Of a string.
  [[nodiscard]] const RedisString& string() const;
  /// The same, moved out of it; nothing: nil.
  [[nodiscard]] std::optional<RedisString> take_string();

  /// Of an array or push, to be gone through.
  [[nodiscard]] RedisList list() const;
  /// Names and values of a map, or of an array that stands for one.
  [[nodiscard]] std::vector<std::pair<const RedisReply*, const RedisReply*>> pairs() const;
  /// Of an array or push of so many elements.
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
  /// The same of one with at least so many.
  template <size_t count>
  [[nodiscard]] std::array<const RedisReply*, count> first() const {
    require_length(list().size() >= count);
    return front<count>();
  }
  /// The elements of an array of `count`, moved out of it.
  [[nodiscard]] std::vector<RedisReply> take_elements(size_t count);

  /// Throws as the readers do.
  [[noreturn]] void refuse() const;

 private:
  friend class RedisReplyReader;

  static void require_length(bool holds);
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

inline const RedisReply* RedisList::begin() const { return elements_.data(); }
inline const RedisReply* RedisList::end() const { return elements_.data() + elements_.size(); }
inline size_t RedisList::size() const { return elements_.size(); }

/// The first error's text among them; null: none.
[[nodiscard]] const std::string* first_error(std::span<const RedisReply> replies);

/// The answers to several commands, taken in their order.
class RedisAnswers {
 public:
  RedisAnswers() = default;
  explicit RedisAnswers(std::vector<RedisReply> replies) : replies_(std::move(replies)) {}

  /// The next one. Throws UnexpectedReply when there is none.
  [[nodiscard]] RedisReply next();
  /// The next so many, as they are to be taken.
  [[nodiscard]] RedisAnswers next(size_t count);
  /// Of those that have not been taken; null: none.
  [[nodiscard]] const std::string* first_error() const { return memolock::first_error(rest()); }
  /// Of those, each error's text.
  template <typename See>
  void each_error(const See& see) const {
    for (const RedisReply& reply : rest())
      if (const std::string* const error = reply.error()) see(*error);
  }

 private:
  [[nodiscard]] std::span<const RedisReply> rest() const {
    return std::span(replies_).subspan(taken_);
  }

  std::vector<RedisReply> replies_;
  size_t taken_ = 0;
};

/// Reads the replies of one connection. Throws Error as the socket does, which must outlive this.
class RedisReplyReader {
 public:
  explicit RedisReplyReader(RedisSocket& from);

  /// The next reply. Error(store) when it is malformed or over 64 MiB in memory.
  [[nodiscard]] RedisReply next();
  /// The most that strings over 64 KiB may have in all of one reply, 1 MiB unless it is said here;
  /// bytes. With more next() throws OversizedReply, and has written none of it.
  void limit_strings(uint64_t bytes) { largest_strings_ = bytes; }
  /// Whether some of it has been received.
  [[nodiscard]] bool has_begun() const { return begin_ < end_; }

 private:
  struct FreeParser {
    void operator()(redisReader* parser) const;
  };
  struct Decoder;

  RedisReply element(int depth);
  RedisReply elements(RedisReply::Type type, size_t count, int depth);
  RedisReply decoded(size_t size);
  RedisReply streamed(uint64_t size);
  RedisReply skipped(uint64_t size);
  void end_string();
  static bool begins_message(const RedisReply& reply);
  std::string_view line();
  void hold(size_t size);
  void receive();
  void take(size_t size);
  void spend(uint64_t bytes);
  [[nodiscard]] std::string_view held() const { return {buffer_.get() + begin_, end_ - begin_}; }

  RedisSocket* from_;
  std::unique_ptr<redisReader, FreeParser> parser_;
  std::unique_ptr<char[]> buffer_;  // what was received; [begin_, end_) has not been read
  size_t begin_ = 0, end_ = 0;
  uint64_t budget_ = 0;  // bytes that the rest of this reply may take in memory
  uint64_t largest_strings_ = 1ULL << 20;
  uint64_t string_budget_ = 0;  // and in files
  bool is_message_ = false;     // this reply, whose payload is not kept
};

}  // namespace memolock
