//! Certificates: a question and the set of views that answers it, as a file.

use super::views::{self, SharedKey, View, Views};
use crate::question::{Question, QuestionError};
use crate::trace::{render, verify};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::Property;
use seamcheck_model::system::pack;
use seamcheck_traces::schema as traces;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// The format's name and version, the first field of every certificate.
pub const FORMAT: &str = "seamcheck.certificate.v1";

/// The longest certificate that is read, in bytes.
pub const MAX_BYTES: usize = 256 << 20;

/// What is proved, and the views that prove it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// [`FORMAT`].
    pub format: String,
    /// Name and version of the program that wrote it.
    pub tool: String,
    /// What was asked. Its number of vCPUs means nothing: it is for every number.
    pub question: traces::Question,
    /// How many views follow.
    pub views: u64,
    /// The views, by their singletons.
    pub beside: Vec<Beside>,
}

/// The vCPUs seen beside one valuation of the singletons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beside {
    /// Zapper, flag, pages; ioctl threads: 16 hexadecimal digits each.
    pub singletons: String,
    /// The vCPUs, 16 hexadecimal digits each, separated by blanks.
    pub vcpus: String,
}

/// Why a file is not a certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Not JSON, or not these fields.
    #[error("not a certificate: {0}")]
    Json(#[from] serde_json::Error),
    /// Another format, or another version of this one.
    #[error("the format is {0:?}; this program reads {FORMAT:?}")]
    OtherFormat(String),
    /// Too long.
    #[error("longer than {} MiB", MAX_BYTES >> 20)]
    TooLarge,
    /// A word that is not 16 hexadecimal digits.
    #[error("{0:?} is not a word of 16 hexadecimal digits")]
    Word(String),
    /// A word that stands for nothing.
    #[error("{0} stands for no state")]
    Meaningless(String),
    /// The number of views is not what it says.
    #[error("it says {said} views and has {found}")]
    Count {
        /// What it says.
        said: u64,
        /// What it has.
        found: u64,
    },
    /// Its question is not understood.
    #[error(transparent)]
    Question(#[from] QuestionError),
    /// Its property does not exist.
    #[error("unknown property `{0}`")]
    UnknownProperty(String),
    /// Its question is not what today's model makes of it.
    #[error(
        "the question is not what today's model says: it is from another version, or was changed"
    )]
    Changed,
}

impl Certificate {
    /// The certificate of a set of views.
    #[must_use]
    pub fn new(question: &Question, property: Property, views: &Views) -> Self {
        let words = |key: SharedKey| format!("{:016x} {:016x}", key[0], key[1]);
        let beside = views.shareds().into_iter().map(|key| {
            let mut vcpus = String::new();
            for word in views.words(key) {
                let blank = if vcpus.is_empty() { "" } else { " " };
                let _ = write!(vcpus, "{blank}{word:016x}");
            }
            Beside {
                singletons: words(key),
                vcpus,
            }
        });
        Self {
            format: FORMAT.to_owned(),
            tool: crate::TOOL.to_owned(),
            question: render::question_of(question, property),
            views: views.len(),
            beside: beside.collect(),
        }
    }

    /// Reads a certificate.
    ///
    /// # Errors
    /// When the text is none.
    pub fn from_json(text: &str) -> Result<Self, CertificateError> {
        if text.len() > MAX_BYTES {
            return Err(CertificateError::TooLarge);
        }
        let certificate: Self = serde_json::from_str(text)?;
        if certificate.format == FORMAT {
            Ok(certificate)
        } else {
            Err(CertificateError::OtherFormat(certificate.format))
        }
    }

    /// As JSON, one line per valuation of the singletons, with a newline at its end.
    ///
    /// # Errors
    /// None in practice: every key of a certificate is a string.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Its question and its property, read back and held against today's model.
    ///
    /// # Errors
    /// When they are not understood, or no longer mean the same.
    pub fn question(&self) -> Result<(Question, Property), CertificateError> {
        let question = verify::question(&self.question)?;
        let name = &self.question.property;
        let property = Property::from_key(name)
            .ok_or_else(|| CertificateError::UnknownProperty(name.clone()))?;
        if render::question_of(&question, property) == self.question {
            Ok((question, property))
        } else {
            Err(CertificateError::Changed)
        }
    }

    /// Its views.
    ///
    /// # Errors
    /// When a word is none, or views are missing or there twice.
    pub fn views(&self) -> Result<Views, CertificateError> {
        let mut views = Views::default();
        for beside in &self.beside {
            let shared = words(&beside.singletons)?;
            let [first, second] = shared[..] else {
                return Err(CertificateError::Word(beside.singletons.clone()));
            };
            if views::key(&views::shared([first, second])) != [first, second] {
                return Err(CertificateError::Meaningless(beside.singletons.clone()));
            }
            for vcpu in words(&beside.vcpus)? {
                if pack::pack_vcpu(&pack::unpack_vcpu(vcpu)) != vcpu {
                    return Err(CertificateError::Meaningless(format!("{vcpu:016x}")));
                }
                views.insert(View {
                    shared: [first, second],
                    vcpu,
                });
            }
        }
        if views.len() == self.views {
            Ok(views)
        } else {
            Err(CertificateError::Count {
                said: self.views,
                found: views.len(),
            })
        }
    }
}

fn words(text: &str) -> Result<Vec<u64>, CertificateError> {
    let word = |word: &str| {
        let digits = word.len() == 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let value = u64::from_str_radix(word, 16).ok().filter(|_| digits);
        value.ok_or_else(|| CertificateError::Word(word.chars().take(40).collect()))
    };
    text.split(' ').map(word).collect()
}
