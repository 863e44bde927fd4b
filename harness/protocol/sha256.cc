#include "harness/protocol/sha256.h"

#include <openssl/evp.h>

#include <array>
#include <fstream>
#include <stdexcept>
#include <vector>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/files.h"

namespace lockstep::protocol {

struct Sha256Stream::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256Stream::Sha256Stream() : state_(std::make_unique<State>()) {
  if (state_->context == nullptr || EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) != 1) {
    throw std::runtime_error("OpenSSL gives no SHA-256");
  }
}
Sha256Stream::~Sha256Stream() = default;

void Sha256Stream::Update(std::span<const std::byte> bytes) {
  if (EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) != 1) throw std::runtime_error("SHA-256 failed");
}
void Sha256Stream::Update(const std::string& text) { Update(std::as_bytes(std::span(text))); }

std::string Sha256Stream::Hex() {
  std::array<unsigned char, 32> digest{};
  if (EVP_DigestFinal_ex(state_->context, digest.data(), nullptr) != 1) throw std::runtime_error("SHA-256 failed");
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const unsigned char byte : digest) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

std::string Sha256(const std::string& bytes) {
  Sha256Stream stream;
  stream.Update(bytes);
  return stream.Hex();
}

std::string Sha256File(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file || std::filesystem::is_directory(path)) throw BadInput(path.string(), "can't be opened");
  Sha256Stream stream;
  std::vector<char> block(1 << 20);
  do {
    file.read(block.data(), std::ssize(block));
    stream.Update(std::as_bytes(std::span(block.data(), static_cast<std::size_t>(file.gcount()))));
  } while (file);
  if (file.bad()) throw BadInput(path.string(), "can't be read to its end");
  return stream.Hex();
}

}  // namespace lockstep::protocol
