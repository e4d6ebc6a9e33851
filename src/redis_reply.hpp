// What a Redis server answers: RESP2, and what we see of RESP3, read in little memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/descriptor.hpp"
#include "src/redis_socket.hpp"

struct redisReader;

namespace memolock {

struct RedisReply {
  enum class Type {
    nil,
    integer,
    string,
    status,
    error,
    array,  ///< also a map of RESP3: keys and values by turns
    push,   ///< an array that answers nothing: of RESP3
  };

  Type type = Type::nil;
  int64_t integer = 0;
  std::string text;  ///< of a string, status or error; an error's is escaped, fit to be shown
  Descriptor file;  ///< instead of the text of a string over 64 KiB: a nameless file with its bytes
  uint64_t size = 0;                 ///< of a string; bytes
  uint64_t hash = 0;                 ///< of a string; XXH3, as `checksum` has it
  std::vector<RedisReply> elements;  ///< of an array or push

  [[nodiscard]] bool is_error() const { return type == Type::error; }
};

/// The first error among them; null: none.
[[nodiscard]] const RedisReply* first_error(std::span<const RedisReply> replies);

/// Reads the replies of one connection. Throws Error as the socket does, which must outlive this.
class RedisReplyReader {
 public:
  explicit RedisReplyReader(RedisSocket& from);

  /// The next reply. Error(store) when it is malformed, over 1 GiB in one string or over 64 MiB in
  /// memory.
  [[nodiscard]] RedisReply next();
  /// Whether some of it has been received.
  [[nodiscard]] bool has_begun() const { return begin_ < end_; }

 private:
  struct FreeParser {
    void operator()(redisReader* parser) const;
  };

  RedisReply element(int depth);
  RedisReply array(RedisReply::Type type, int64_t count, int depth);
  RedisReply decoded(size_t size);
  RedisReply streamed(uint64_t size);
  std::string_view line();
  void hold(size_t size);
  void receive();
  void spend(uint64_t bytes);
  [[nodiscard]] std::string_view held() const { return {buffer_.get() + begin_, end_ - begin_}; }

  RedisSocket* from_;
  std::unique_ptr<redisReader, FreeParser> parser_;
  std::unique_ptr<char[]> buffer_;  // what was received; [begin_, end_) has not been read
  size_t begin_ = 0, end_ = 0;
  uint64_t budget_ = 0;  // bytes that the rest of this reply may take in memory
};

}  // namespace memolock
