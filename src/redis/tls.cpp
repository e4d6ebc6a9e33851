#include "src/redis/tls.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pemerr.h>
#include <openssl/ssl.h>
#include <openssl/x509err.h>
#include <openssl/x509v3.h>

#include "src/redis/host_name.hpp"
#include "src/system/directory.hpp"
#include "src/system/error.hpp"

#ifdef MEMOLOCK_STATIC
// OpenSSL's static library detects the processor's features before main(). That takes 26 µs on a
// virtual machine, and a hit needs no TLS. The linker replaces this function with the first of
// these (--wrap); the second is the original.
extern "C" void skip_cpuid_setup() __asm__("__wrap_OPENSSL_cpuid_setup");
extern "C" void skip_cpuid_setup() {}
extern "C" void cpuid_setup() __asm__("__real_OPENSSL_cpuid_setup");
#else
static void cpuid_setup() {}
#endif

namespace memolock {
namespace {

// The result for a certificate without a subject alternative name. A common name is not a host name
// (RFC 9525).
constexpr int no_alternative_name = X509_V_ERR_APPLICATION_VERIFICATION;

/// A number of the library, and its meaning for a user.
struct Meaning {
  long number;
  const char* text;
};

/// The text for a number; for other numbers `otherwise` with the number.
std::string meaning_of(long number, std::span<const Meaning> known, std::string_view otherwise) {
  const auto found = std::find_if(known.begin(), known.end(),
                                  [&](const Meaning& meaning) { return meaning.number == number; });
  return found != known.end() ? found->text : fmt::format("{} (code {})", otherwise, number);
}

/// Why a file could not be used, from the first error in the library's queue, which is the most
/// specific one.
std::string file_fault() {
  static constexpr const char* no_data = "it contains no PEM data of this kind";
  static constexpr std::array<Meaning, 3> library{{
      {ERR_PACK(ERR_LIB_PEM, 0, PEM_R_NO_START_LINE), no_data},
      {ERR_PACK(ERR_LIB_X509, 0, X509_R_NO_CERTIFICATE_OR_CRL_FOUND), no_data},
      {ERR_PACK(ERR_LIB_X509, 0, X509_R_KEY_VALUES_MISMATCH), "it is not the certificate's key"},
  }};
  const unsigned long error = ERR_peek_error();
  if (ERR_SYSTEM_ERROR(error)) return lowercase_error_text(ERR_GET_REASON(error));
  // The decoder's reason depends on the version of the library.
  if (ERR_GET_LIB(error) == ERR_LIB_OSSL_DECODER) return no_data;
  return meaning_of(static_cast<long>(error), library, "it is not valid");
}

/// Whether an error is from the TLS part of the library. The numbers of reasons are unique only
/// within a part.
bool is_tls_error(unsigned long error) {
  return !ERR_SYSTEM_ERROR(error) && ERR_GET_LIB(error) == ERR_LIB_SSL;
}

/// Why a handshake or a transfer failed.
std::string tls_fault() {
  static constexpr std::array<Meaning, 16> library{{
      {SSL_R_WRONG_VERSION_NUMBER, "the server does not speak TLS"},
      {SSL_R_UNSUPPORTED_PROTOCOL, "no common version of TLS"},
      {SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "no common version of TLS"},
      // A server with TLS 1.2 that gets no client certificate sends the alert for no common cipher.
      {SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE,
       "the server refuses the handshake; it may require a client certificate"},
      {SSL_R_NO_SHARED_CIPHER, "no common cipher"},
      {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, "client certificate required"},
      {SSL_R_TLSV1_ALERT_UNKNOWN_CA, "the server does not trust the client certificate"},
      {SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "the server refuses the client certificate"},
      {SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, "the server refuses the client certificate"},
      {SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, "the client certificate is revoked"},
      {SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, "the client certificate has expired"},
      {SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "the server refuses the client certificate"},
      {SSL_R_TLSV1_UNRECOGNIZED_NAME, "the server does not know this host name"},
      {SSL_R_TLSV1_ALERT_ACCESS_DENIED, "the server reports that access is denied"},
      {SSL_R_TLSV1_ALERT_DECRYPT_ERROR, "the server reports that it cannot verify the handshake"},
      {SSL_R_TLSV1_ALERT_INTERNAL_ERROR, "the server reports an internal error"},
  }};
  const unsigned long error = ERR_peek_error();
  if (ERR_SYSTEM_ERROR(error)) return lowercase_error_text(ERR_GET_REASON(error));
  const long number = is_tls_error(error) ? ERR_GET_REASON(error) : static_cast<long>(error);
  return meaning_of(number, library, "protocol error");
}

/// The meaning of the result of a verification, worded to follow "certificate: ".
std::string meaning_of_verdict(long verdict) {
  static constexpr std::array<Meaning, 14> library{{
      {no_alternative_name, "no subject alternative name; a common name is not enough"},
      {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "signed by an unknown authority"},
      {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "signed by an unknown authority"},
      {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, "signed by an unknown authority"},
      {X509_V_ERR_CERT_UNTRUSTED, "signed by an authority that is not trusted"},
      {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "signed by an authority that is not trusted"},
      {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "self-signed and not trusted"},
      {X509_V_ERR_CERT_HAS_EXPIRED, "expired"},
      {X509_V_ERR_CERT_NOT_YET_VALID, "not valid yet"},
      {X509_V_ERR_HOSTNAME_MISMATCH, "issued for another host name"},
      {X509_V_ERR_IP_ADDRESS_MISMATCH, "issued for another IP address"},
      {X509_V_ERR_INVALID_PURPOSE, "not issued for a server"},
      {X509_V_ERR_EE_KEY_TOO_SMALL, "its key is too short"},
      {X509_V_ERR_CA_MD_TOO_WEAK, "its signature is too weak"},
  }};
  return meaning_of(verdict, library, "not valid");
}

constexpr const char* library_failure = "TLS: the library cannot be initialized";

// ---- a BIO whose writes do not raise SIGPIPE, unlike the library's own for sockets ----

int socket_of(BIO* bio) { return static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio))); }

int moved(BIO* bio, ssize_t result, int retry) {
  BIO_clear_retry_flags(bio);
  if (result < 0 && (errno == EAGAIN || errno == EINTR))
    BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
  return static_cast<int>(result);
}

int write_socket(BIO* bio, const char* bytes, int size) {
  const ssize_t result = send(socket_of(bio), bytes, static_cast<size_t>(size), MSG_NOSIGNAL);
  return moved(bio, result, BIO_FLAGS_WRITE);
}

int read_socket(BIO* bio, char* into, int size) {
  const ssize_t result = recv(socket_of(bio), into, static_cast<size_t>(size), 0);
  return moved(bio, result, BIO_FLAGS_READ);
}

long control_socket(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO* bio_of(int socket) {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    BIO_meth_set_write(made, write_socket);
    BIO_meth_set_read(made, read_socket);
    BIO_meth_set_ctrl(made, control_socket);
    return made;
  }();
  BIO* bio = BIO_new(method);
  if (bio == nullptr) throw store_error(library_failure);
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(socket)));
  BIO_set_init(bio, 1);
  return bio;
}

// ---- certificate authorities ----

// The bundles of distributions that have no hashed directory in the place that this library uses.
constexpr std::array<const char*, 4> bundles{"/etc/ssl/certs/ca-certificates.crt",
                                             "/etc/pki/tls/certs/ca-bundle.crt",
                                             "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"};

bool is_directory(const char* path) {
  struct stat info {};
  return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/// Refuses a FIFO or a device. OpenSSL would wait for the writer of a FIFO without reacting to
/// signals. It also reads the file again for each connection.
void refuse_special(const std::string& what, const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
    throw store_error(fmt::format("{} {}: not a regular file", what, path));
}

/// Whether a directory has certificates under the hashes of their subjects ("002c0b4f.0"): then
/// only those that are needed are read.
bool is_hashed(const char* path) {
  DirectoryReader directory(Descriptor(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  while (const char* const found = directory.next()) {
    const std::string_view name = found;
    if (name.size() == 10 && name.ends_with(".0") &&
        name.find_first_not_of("0123456789abcdef") == 8)
      return true;
  }
  return false;
}

// The application data of a context that trusts no authority points here.
char no_authorities = 0;

/// Trusts the system's certificates: those in a hashed directory if there is one, because reading a
/// whole bundle takes 16 ms.
void trust_system(SSL_CTX* context) {
  const char* const file = getenv(X509_get_default_cert_file_env());
  const char* const directories = getenv(X509_get_default_cert_dir_env());
  if (file != nullptr) {
    refuse_special("cannot read certificates in", file);
    SSL_CTX_load_verify_file(context, file);
  }
  if (directories != nullptr) SSL_CTX_load_verify_dir(context, directories);
  if (file != nullptr || directories != nullptr) return;
  for (const char* const directory : {X509_get_default_cert_dir(), "/etc/ssl/certs"})
    if (is_hashed(directory) && SSL_CTX_load_verify_dir(context, directory) == 1) return;
  if (SSL_CTX_load_verify_file(context, X509_get_default_cert_file()) == 1) return;
  for (const char* const bundle : bundles)
    if (SSL_CTX_load_verify_file(context, bundle) == 1) return;
  SSL_CTX_set_app_data(context, &no_authorities);
}

void trust(SSL_CTX* context, const std::string& ca) {
  if (ca.empty()) return trust_system(context);
  refuse_special("cannot read certificates in", ca);
  const bool read = is_directory(ca.c_str()) ? SSL_CTX_load_verify_dir(context, ca.c_str()) == 1
                                             : SSL_CTX_load_verify_file(context, ca.c_str()) == 1;
  if (!read) throw store_error(fmt::format("cannot read certificates in {}: {}", ca, file_fault()));
}

// ---- the client's certificate ----

/// Refuses to decrypt a key, for which OpenSSL would ask on the terminal, and notes the attempt in
/// `is_encrypted`, a bool: the errors that follow depend on the version of the library.
int no_passphrase(char* /*into*/, int /*size*/, int /*writing*/, void* is_encrypted) {
  *static_cast<bool*>(is_encrypted) = true;
  return -1;
}

void use_key(SSL_CTX* context, const std::string& key) {
  bool is_encrypted = false;
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);
  SSL_CTX_set_default_passwd_cb_userdata(context, &is_encrypted);
  const bool used = SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) == 1;
  SSL_CTX_set_default_passwd_cb(context, nullptr);
  SSL_CTX_set_default_passwd_cb_userdata(context, nullptr);
  if (used) return;
  throw store_error(fmt::format("cannot use the key {}: {}", key,
                                is_encrypted ? "encrypted keys are not supported" : file_fault()));
}

void identify(SSL_CTX* context, const RedisTls& settings) {
  if (settings.cert.empty()) return;
  const std::string& key = settings.key.empty() ? settings.cert : settings.key;
  refuse_special("cannot use the certificate", settings.cert);
  refuse_special("cannot use the key", key);
  if (SSL_CTX_use_certificate_chain_file(context, settings.cert.c_str()) != 1)
    throw store_error(
        fmt::format("cannot use the certificate {}: {}", settings.cert, file_fault()));
  use_key(context, key);
}

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

/// Reports that there is no name to compare with, which is more specific than a mismatch.
int explain_mismatch(int is_good, X509_STORE_CTX* verification) {
  const int error = X509_STORE_CTX_get_error(verification);
  if (error != X509_V_ERR_HOSTNAME_MISMATCH && error != X509_V_ERR_IP_ADDRESS_MISMATCH)
    return is_good;
  const X509* const certificate = X509_STORE_CTX_get0_cert(verification);
  if (X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1) < 0)
    X509_STORE_CTX_set_error(verification, no_alternative_name);
  return is_good;
}

std::unique_ptr<SSL_CTX, FreeContext> context_for(const RedisTls& settings) {
  cpuid_setup();
  // No exit handlers, because other threads may still be running then. No configuration file,
  // because it may name modules that a static binary cannot load.
  OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT | OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
  ERR_clear_error();
  std::unique_ptr<SSL_CTX, FreeContext> context(SSL_CTX_new(TLS_client_method()));
  if (!context) throw store_error(library_failure);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, explain_mismatch);
  // A write that would have blocked is repeated with the remaining bytes, which may be at another
  // address.
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // One record at a time, so that the time limit also applies to a peer that sends only messages of
  // TLS itself.
  SSL_CTX_clear_mode(context.get(), SSL_MODE_AUTO_RETRY);
  trust(context.get(), settings.ca);
  identify(context.get(), settings);
  return context;
}

/// Requires that the server's certificate is for `name`; the session verifies this.
bool expect_name(SSL* session, const std::string& name) {
  if (is_ip_address(name)) {
    const std::string plain = name.substr(0, name.find('%'));
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), plain.c_str()) == 1;
  }
  SSL_set_hostflags(session,
                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  // like SSL_set_tlsext_host_name, without the cast in that macro
  return SSL_ctrl(session, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                  const_cast<char*>(name.c_str())) == 1 &&
         SSL_set1_host(session, name.c_str()) == 1;
}

/// Why the session rejects the server's certificate, worded to follow "certificate: ".
std::string certificate_fault(const SSL* session) {
  const long verdict = SSL_get_verify_result(session);
  const bool lacks_authority = verdict == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
                               verdict == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
                               verdict == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE ||
                               verdict == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN;
  if (lacks_authority && SSL_CTX_get_app_data(SSL_get_SSL_CTX(session)) == &no_authorities)
    return "cannot be verified: no CA certificates are installed";
  return meaning_of_verdict(verdict);
}

/// The IoResult for an operation that failed with `result`.
IoResult failure_result(SSL* session, int result) {
  const int error = errno;
  switch (SSL_get_error(session, result)) {
    case SSL_ERROR_WANT_READ:
      return {IoResult::Status::wants_input};
    case SSL_ERROR_WANT_WRITE:
      return {IoResult::Status::wants_output};
    case SSL_ERROR_ZERO_RETURN:
      return {IoResult::Status::closed};
    case SSL_ERROR_SYSCALL:
      if (error == 0 || error == EPIPE || error == ECONNRESET) return {IoResult::Status::closed};
      throw store_error(lowercase_error_text(error));
    default:
      break;
  }
  const unsigned long last = ERR_peek_last_error();
  if (is_tls_error(last) && ERR_GET_REASON(last) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
    return {IoResult::Status::closed};
  if (SSL_get_verify_result(session) != X509_V_OK)
    throw store_error("certificate: " + certificate_fault(session));
  throw store_error("TLS: " + tls_fault());
}

/// Calls the library: `operation` returns its result and sets the number of bytes.
template <typename Operation>
IoResult attempt(SSL* session, Operation operation) {
  ERR_clear_error();
  errno = 0;
  size_t bytes = 0;
  const int result = operation(bytes);
  return result == 1 ? IoResult{IoResult::Status::moved, bytes} : failure_result(session, result);
}

}  // namespace

void Tls::Free::operator()(ssl_st* session) const { SSL_free(session); }

Tls::Tls(int socket, const RedisTls& settings, const std::string& host) {
  const auto context = context_for(settings);
  session_.reset(SSL_new(context.get()));
  if (!session_) throw store_error(library_failure);
  BIO* const bio = bio_of(socket);
  SSL_set_bio(session_.get(), bio, bio);
  if (!expect_name(session_.get(), settings.server_name.empty() ? host : settings.server_name))
    throw store_error("its name cannot be checked against a certificate");
}

IoResult Tls::handshake() {
  return attempt(session_.get(), [&](size_t&) { return SSL_connect(session_.get()); });
}

IoResult Tls::read(char* into, size_t size) {
  return attempt(session_.get(),
                 [&](size_t& count) { return SSL_read_ex(session_.get(), into, size, &count); });
}

IoResult Tls::write(std::string_view bytes) {
  return attempt(session_.get(), [&](size_t& count) {
    return SSL_write_ex(session_.get(), bytes.data(), bytes.size(), &count);
  });
}

IoResult Tls::peek() {
  return attempt(session_.get(), [&](size_t& count) {
    char first = 0;
    return SSL_peek_ex(session_.get(), &first, 1, &count);
  });
}

bool Tls::has_pending() const { return SSL_pending(session_.get()) > 0; }

}  // namespace memolock
