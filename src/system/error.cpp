#include "src/system/error.hpp"

#include <cerrno>
#include <cstring>
#include <exception>
#include <new>
#include <system_error>

namespace memolock {

std::string current_exception_text() noexcept {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    // bad_alloc gets the message below instead of the text of the library.
  } catch (const std::exception& error) {
    try {
      if (const auto* const known = dynamic_cast<const Error*>(&error)) return known->what();
      // The messages of libraries would not help a user.
      if (const auto* const failed = dynamic_cast<const std::system_error*>(&error))
        return error_text(failed->code().value());
      return "internal error";
    } catch (const std::bad_alloc&) {
      // The message below is returned.
    }
  } catch (...) {
    // This program throws nothing else.
  }
  return "out of memory";  // short enough for std::string to store without allocation
}

std::string error_text(int error_number) {
  const char* text = strerrordesc_np(error_number);
  return text != nullptr ? text : "error " + std::to_string(error_number);
}

std::string read_error_text(int error_number) {
  // A closed standard stream was replaced by one that cannot be read either.
  return error_number == EBADF ? "it is closed or open for writing only" : error_text(error_number);
}

std::string lowercase_error_text(int error_number) {
  std::string text = error_text(error_number);
  if (text[0] >= 'A' && text[0] <= 'Z') text[0] = static_cast<char>(text[0] - 'A' + 'a');
  return text;
}

Error system_error(const std::string& what, int error_number) {
  return store_error(what + ": " + error_text(error_number));
}

}  // namespace memolock
