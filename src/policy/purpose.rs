//! Purposes: what evidence may be used for, each with its nearest concept in the W3C Data Privacy Vocabulary.

use crate::policy::code::vocabulary;

vocabulary! {
    /// A purpose for which evidence is sent, and for which somebody wants to open it. The words are stable.
    Purpose: "purpose" {
        /// Proceedings of an administrative authority that a criminal court may review (Directive 2014/41/EU art.
        /// 4(b)).
        AdministrativeProceedings = "administrative-proceedings",
        /// Tracing, freezing and confiscating the proceeds of crime.
        AssetRecovery = "asset-recovery",
        /// A claim for damages, in whatever court.
        CivilClaim = "civil-claim",
        /// Proceedings in a civil or commercial matter.
        CivilProceedings = "civil-proceedings",
        /// Preventing crimes other than the one that the request is about.
        CrimePrevention = "crime-prevention",
        /// Executing a custodial sentence or another penalty that was imposed.
        EnforcementOfSentence = "enforcement-of-sentence",
        /// Giving what speaks for an accused person to that person (UNTOC art. 18(19), UNCAC art. 46(19)).
        ExculpatoryDisclosure = "exculpatory-disclosure",
        /// Extradition or surrender of a person.
        Extradition = "extradition",
        /// The criminal investigation that the request is about.
        Investigation = "investigation",
        /// Deciding on and bringing charges.
        Prosecution = "prosecution",
        /// Averting an immediate and serious threat to public security (MLA 2000 art. 23(1)(c)).
        PublicSecurity = "public-security",
        /// Serving documents on a person.
        ServiceOfDocuments = "service-of-documents",
        /// Checking that the evidence is used lawfully (Directive (EU) 2016/680 art. 25(2)).
        Supervision = "supervision",
        /// Use before a criminal court.
        Trial = "trial",
    }
}

impl Purpose {
    /// The form of a purpose in ODRL 2.2: the left operand of a constraint.
    pub const ODRL: &str = "http://www.w3.org/ns/odrl/2/purpose";

    /// The nearest concept of the W3C Data Privacy Vocabulary 2.3, as an IRI; it is often broader than the purpose.
    pub const fn dpv(self) -> &'static str {
        match self {
            Self::AdministrativeProceedings => "https://w3id.org/dpv/sector/law#LegalInvestigation",
            Self::AssetRecovery
            | Self::EnforcementOfSentence
            | Self::PublicSecurity
            | Self::Supervision => "https://w3id.org/dpv/sector/law#CriminalLawEnforcement",
            Self::CivilClaim | Self::CivilProceedings => {
                "https://w3id.org/dpv/sector/law#LegalEvidenceInterpretation"
            }
            Self::CrimePrevention => "https://w3id.org/dpv/sector/law#CrimeDetection",
            Self::ExculpatoryDisclosure => {
                "https://w3id.org/dpv/sector/law#LegalEvidenceCollection"
            }
            Self::Extradition => "https://w3id.org/dpv/sector/law#CrimeArrestDetention",
            Self::Investigation => "https://w3id.org/dpv/sector/law#CrimeInvestigation",
            Self::Prosecution => "https://w3id.org/dpv/sector/law#CrimeProsecution",
            Self::ServiceOfDocuments => "https://w3id.org/dpv/sector/law#JudicialCaseManagement",
            Self::Trial => "https://w3id.org/dpv/sector/law#JudicialDecisionMaking",
        }
    }

    /// Whether this use is itself a disclosure in judicial proceedings, which handling code H1 forbids without
    /// permission.
    pub const fn is_judicial(self) -> bool {
        match self {
            Self::CivilClaim | Self::CivilProceedings | Self::Trial => true,
            Self::AdministrativeProceedings
            | Self::AssetRecovery
            | Self::CrimePrevention
            | Self::EnforcementOfSentence
            | Self::ExculpatoryDisclosure
            | Self::Extradition
            | Self::Investigation
            | Self::Prosecution
            | Self::PublicSecurity
            | Self::ServiceOfDocuments
            | Self::Supervision => false,
        }
    }

    /// Whether this use is itself a judicial or administrative proceeding.
    pub const fn is_proceeding(self) -> bool {
        match self {
            Self::AdministrativeProceedings
            | Self::AssetRecovery
            | Self::CivilClaim
            | Self::CivilProceedings
            | Self::Investigation
            | Self::Prosecution
            | Self::Trial => true,
            Self::CrimePrevention
            | Self::EnforcementOfSentence
            | Self::ExculpatoryDisclosure
            | Self::Extradition
            | Self::PublicSecurity
            | Self::ServiceOfDocuments
            | Self::Supervision => false,
        }
    }
}

/// Purposes as one list for people: `investigation, prosecution`.
pub(super) fn list(purposes: &[Purpose]) -> String {
    let words: Vec<_> = purposes.iter().map(|purpose| purpose.as_str()).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_purpose_has_its_word_and_its_concept() {
        for purpose in Purpose::ALL {
            assert_eq!(Purpose::parse(purpose.as_str()), Ok(*purpose));
            assert!(purpose.dpv().starts_with("https://w3id.org/dpv"));
        }
        assert!(
            Purpose::ALL.is_sorted(),
            "the table is kept in the order of its words"
        );
    }
}
