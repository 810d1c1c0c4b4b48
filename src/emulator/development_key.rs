//! The signing key that every emulator of the development project starts with.
//!
//! To make an RSA key takes a debug build up to half a second, to read this one a few milliseconds.

/// **Anybody can sign with this key: it is published with the crate.** PKCS #8, DER, in base64.
///
/// It is used only where nobody needs to be kept out: by an emulator of
/// [`DEVELOPMENT_PROJECT_ID`](super::DEVELOPMENT_PROJECT_ID) that listens on loopback. Every handle whose base URL is
/// not on loopback refuses it, see `token::jwk`.
pub(super) const PUBLICLY_KNOWN_PKCS8: &str = "\
    MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDAV7fWaYxpO5DvOZj7WdjIi4bS9kKGL0tUZRAA1r/S\
    XiT9NEUIDnhjJRrgs7sOEqHtNtOraolfTutCSnE14webi34OUtPAOe8zG3tbihfVOqeEB8wNhZvK6EuVb1fQdLrtUxoF\
    TI5T+PxocOknJZ1JWAsyOANBP8NPwn+2pH+HWVHECpIV7jWHAaSG0wQFGlV7hpuM0DGaZ9vkG82GeSKVVbo2fedS4on+\
    ECCZaYEySh6aHA3Ox2hCrCYouoIKCnbS/2LIe4gurIwJCtmqcQmEppKN3i3+DkB+S4s5zhAxYl0PNiSwMt5edYV+KZvL\
    C3OpnlTNv+zSmXD19tGxeka1AgMBAAECggEAHpj1sECrKwRkSoINoZKJ52E2yfGN5J26bIsFMDT5X+RFGxiJEL6IjTEW\
    ZP+CdrslEkDiDEdO4iACUdHYz5s1lxtqKqoncFFnCWjKR2Yg43VIt7qrzcze2zj36SZEwG8JW36YSZaDn70gnha0KFuV\
    +Vhts4fwkJ0tm08UFQB3HxchwIKpf/ypkoyHNJuBdwBXhmrVKAMltoDTo47Inc5DDk50R2oKq7TmASR7wOqaOQqm0hww\
    YnhYExS7YpBF3Yx2WPQghNzWB2Ytz9MLmRUW2iyD6iwh9UFsfZjeEbt7LBAFFwV3VnFqDdw85oJgOo/3SB19NFyU0345\
    LU1zfqWcEwKBgQD7h4BRck12/TZRnf1e1PrVEbVGsLewlFdxVTIrBO4uwYKVokgIP9oQo8wi9HcaTXk5xQx+GcVHfpa4\
    CU3jUcsNr3LovUBmRQ2YJqdPU1If1oPGYJo6W7ypsejad9Dm1cc0wuaHqS0K2xvOIzVdqivkcTRCqWq69wvYM9HmBPP/\
    YwKBgQDDwuh4b+kkzi2M9GHwgsSr3qFTBZxu9awts3opi4cG6tt3Cdiusc4gMRY8GlYhHeKjbFIISAbdtSWKCOQbc740\
    MzDmHIiedoNu9G2Y/yKMcBBOKtVT0cZE6ys9pAF8UQF8xFKy0oemRpTc/gfOrInRDQGkYkpvWq+zHiMVfS35BwKBgQDD\
    v4k6WWU19Aug6v5zHfbzeOuFzyO1dUyz86SuXBDtLEXvI7NBUEfp6T+F+JD0VFTCg7qcLHwejsLHCN6nyVDoHqGjxRzo\
    OldBENvmXSathmlZKnb8ccZang1kcBiQfNCiHAgCjcNzDmAORdJTSYsNJpiQRH6+cGK0aGeyxioJlwKBgCj0iww/ZYh0\
    tiTqL99QjHLkpd2nq92u+jGpfeJZNYul8PpLjhCmVFh5zIwQenp9NSA5lkPzRbR2pH7nc0mnAmELYKyTxaVZaA/7hT5g\
    CktVWqPv5CegGJnslWRU/paSn/wJWr/cudJ4q8Y8Q0fi4wZgcTqB8c6wK1gO8woY4VhbAoGAIU+L3aaR5zc+DA9Rn+lD\
    a6c+75VID9J+HRI4nQGz9M1g8fDfTwM/7o2qvfzfTB/CKdKvMWgXxR06/rL9pVNlNCEbOGe5BT4rpjcWhRQhn1hR77FN\
    yjW3BSmCz2K22r2O7/T+tHbxifYaAHgceYs1hnnSBObkRT3nYOGC/KLFArg=";

/// Its kid. The kid of a generated key is random.
pub(super) const KID: &str = "SKemuPubliclyKnownDevelopment";
