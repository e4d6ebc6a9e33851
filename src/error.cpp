#include "src/error.hpp"

#include <cstring>

namespace memolock {

std::string error_text(int error_number) {
  const char* text = strerrordesc_np(error_number);
  return text != nullptr ? text : "error " + std::to_string(error_number);
}

Error system_error(const std::string& what, int error_number) {
  return store_error(what + ": " + error_text(error_number));
}

}  // namespace memolock
