#include "cli/store_choice.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>

#include "src/error.hpp"
#include "src/key.hpp"
#include "src/local_store.hpp"
#include "src/percent.hpp"

namespace memolock {
namespace {

std::string variable(const char* name) {
  const char* value = getenv(name);
  return value != nullptr ? value : "";
}

std::string default_directory() {
  if (auto own = variable("MEMOLOCK_CACHE_DIR"); !own.empty()) return own;
  // The base directory specification: a relative path there is to be ignored.
  if (const auto cache = variable("XDG_CACHE_HOME"); cache.starts_with('/'))
    return cache + "/memolock";
  if (const auto home = variable("HOME"); !home.empty()) return home + "/.cache/memolock";
  throw store_error(
      "no place for the local store: neither MEMOLOCK_CACHE_DIR, XDG_CACHE_HOME nor HOME is set");
}

std::string directory_of(const std::string& url) {
  constexpr std::string_view scheme = "file://";
  if (url.empty() || url == "local") return default_directory();
  // Not the whole of an unknown URL: it may hold a password.
  if (!url.starts_with(scheme))
    throw usage_error(fmt::format("--store: '{}' is neither local nor file:///DIR",
                                  escape_controls(url.substr(0, url.find(':')))));
  auto path = percent_unescape(std::string_view(url).substr(scheme.size()));
  if (!path || !path->starts_with('/') || path->find('\0') != std::string::npos)
    throw usage_error(
        fmt::format("--store: '{}' names no absolute directory", escape_controls(url)));
  return std::move(*path);
}

}  // namespace

StoreChoice choose_store(const std::string& url) {
  StoreChoice choice;
  const std::string directory = directory_of(url);
  std::error_code error;
  choice.directory = std::filesystem::absolute(directory, error).lexically_normal();
  if (error)
    throw store_error(
        fmt::format("cannot tell where the store {} is: {}", directory, error.message()));
  while (choice.directory.size() > 1 && choice.directory.ends_with('/'))
    choice.directory.pop_back();
  choice.url = "file://";
  for (const char c : choice.directory)
    choice.url += c == '%' ? std::string("%25") : std::string(1, c);
  return choice;
}

std::unique_ptr<Store> open_store(const StoreChoice& choice, const Log& log) {
  return std::make_unique<LocalStore>(choice.directory, DirectoryLink::follow, log);
}

std::unique_ptr<Store> open_fallback(const Log& log) {
  // Anybody may put a link there.
  return std::make_unique<LocalStore>(fmt::format("/tmp/memolock-{}", geteuid()),
                                      DirectoryLink::refuse, log);
}

}  // namespace memolock
