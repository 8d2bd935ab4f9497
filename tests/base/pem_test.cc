#include "base/pem.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "gtest/gtest.h"
#include "tests/testing/certificates.h"

namespace mneme::base {
namespace {

using testing::Authority;
using testing::Identity;

class PemTest : public ::testing::Test {
 protected:
  PemTest() { std::filesystem::create_directories(directory_); }
  ~PemTest() override { std::filesystem::remove_all(directory_); }

  std::string Write(const std::string& name, const std::string& bytes) const {
    const std::string path = directory_ / name;
    std::ofstream(path) << bytes;
    return path;
  }
  std::string FieldOf(const std::string& certificate,
                      const std::string& key) const {
    return DetailOf(CheckKeyPair("cert", certificate, "key", key)).field;
  }

  const Authority ca_{"ca"};
  const std::filesystem::path directory_ =
      ::testing::TempDir() + "mneme_pem_" + std::to_string(getpid());
};

TEST_F(PemTest, AFileWithoutACertificateIsRefused) {
  const Identity server = ca_.Issue("server");
  EXPECT_TRUE(ReadCertificate("ca", Write("ok.pem", ca_.certificate())).ok());
  for (const std::string& path :
       {Write("key.pem", server.key), Write("empty.pem", ""),
        Write("torn.pem", "-----BEGIN CERTIFICATE-----\nMIIB"),
        std::string("/no/such")}) {
    const auto refused = ReadCertificate("ca", path);
    EXPECT_EQ(DetailOf(refused.status()).field, "ca") << path;
    EXPECT_NE(refused.status().message().find(path), std::string::npos);
  }
}

TEST_F(PemTest, AKeyIsOfOneCertificateAlone) {
  const Identity server = ca_.Issue("server");
  const std::string certificate = Write("server.pem", server.certificate);
  const std::string key = Write("server.key", server.key);
  EXPECT_EQ(FieldOf(certificate, key), "");
  EXPECT_EQ(FieldOf(certificate, Write("o.key", ca_.Issue("other").key)),
            "key");
  EXPECT_EQ(FieldOf(certificate, certificate), "key");
  EXPECT_EQ(FieldOf(key, key), "cert");
}

TEST_F(PemTest, KnowsWhatHasExpired) {
  const auto expired = [&](long seconds) {
    const std::string path =
        Write("c.pem", ca_.Issue("c", "", seconds).certificate);
    return HasExpired(**ReadCertificate("cert", path));
  };
  EXPECT_FALSE(expired(60));
  EXPECT_TRUE(expired(-30));
}

}  // namespace
}  // namespace mneme::base
