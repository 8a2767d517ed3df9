//! One function for each call of the API.

use serde::Deserialize;

use crate::api::client::{BundleFiles, CallFault, Client, Download, Upload, encode};
use crate::api::types::{
    AcceptPeer, AddPeer, AnchorView, ApprovalView, AskConsent, AssignTeam, CardView, CaseView,
    CertificateView, ClockView, Closed, ConsentView, DecidePeer, DestroyRequest, Destruction,
    DueView, Examination, Explanation, Forward, GrantConsent, HoldRequest, HoldView, LogStatus,
    Mismatch, OnwardView, OpenRequest, Opening, PackageDetail, PackageView, PeerView, Ping,
    PolicyView, ProofView, ReceiptDetail, ReceiptView, RefuseConsent, RenewRequest, Restrict,
    ReviewRequest, ReviewView, SealFinish, SealGrant, SealMany, SealRequest, Spooled, Status,
    TransferView, UseReport, Verification, WaitMany, Waited, WaitingPolicy,
};
use crate::policy::{Purpose, Role};

/// Which packages to list; `None` is all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PackageFilter<'a> {
    /// `in` or `out`.
    pub direction: Option<&'a str>,
    /// A state, as in [`PackageView::state`].
    pub state: Option<&'a str>,
}

#[derive(Deserialize)]
struct Checkpoint {
    note: String,
}

/// No body is an empty object.
#[derive(serde::Serialize)]
struct Nothing {}

impl Client {
    /// How the daemon is.
    pub async fn status(&self) -> Result<Status, CallFault> {
        self.get("/v1/status").await
    }

    /// The clock.
    pub async fn clock(&self) -> Result<ClockView, CallFault> {
        self.get("/v1/clock").await
    }

    /// Says that the machine's clock is right.
    pub async fn confirm_clock(&self) -> Result<ClockView, CallFault> {
        self.post("/v1/clock/confirm", &Nothing {}).await
    }

    /// Own certificate and revocation list.
    pub async fn certificate(&self) -> Result<CertificateView, CallFault> {
        self.get("/v1/certificate").await
    }

    /// Issues both anew.
    pub async fn renew_certificate(
        &self,
        request: &RenewRequest,
    ) -> Result<CertificateView, CallFault> {
        self.post("/v1/certificate/renew", request).await
    }

    /// The own card.
    pub async fn card(&self) -> Result<CardView, CallFault> {
        self.get("/v1/card").await
    }

    /// All peers.
    pub async fn peers(&self) -> Result<Vec<PeerView>, CallFault> {
        self.get("/v1/peers").await
    }

    /// One peer, by alias or id.
    pub async fn peer(&self, peer: &str) -> Result<PeerView, CallFault> {
        self.get(&format!("/v1/peers/{}", encode(peer))).await
    }

    /// Adds a peer by its card.
    pub async fn add_peer(&self, add: &AddPeer) -> Result<PeerView, CallFault> {
        self.post("/v1/peers", add).await
    }

    /// Decides about a peer: `pause`, `resume`, `revoke` or `remove`.
    pub async fn decide_peer(
        &self,
        peer: &str,
        decision: &str,
        wish: &DecidePeer,
    ) -> Result<PeerView, CallFault> {
        let path = format!("/v1/peers/{}/{decision}", encode(peer));
        self.post(&path, wish).await
    }

    /// Accepts a peer whose fingerprint was compared.
    pub async fn accept_peer(
        &self,
        peer: &str,
        accept: &AcceptPeer,
    ) -> Result<PeerView, CallFault> {
        self.post(&format!("/v1/peers/{}/accept", encode(peer)), accept)
            .await
    }

    /// Connects to a peer and measures.
    pub async fn ping(&self, peer: &str) -> Result<Ping, CallFault> {
        self.post(&format!("/v1/peers/{}/ping", encode(peer)), &Nothing {})
            .await
    }

    /// Asks for leave to seal and send one package.
    pub async fn request_seal(&self, seal: &SealRequest) -> Result<SealGrant, CallFault> {
        self.post("/v1/seals", seal).await
    }

    /// Streams the age file of a granted package.
    pub async fn upload_package(&self, grant: &str, body: Upload) -> Result<Spooled, CallFault> {
        self.put(&format!("/v1/seals/{}/package", encode(grant)), body)
            .await
    }

    /// Asks for leave to seal and send several packages with the same terms.
    pub async fn request_seals(&self, many: &SealMany) -> Result<Vec<SealGrant>, CallFault> {
        self.post("/v1/seals/many", many).await
    }

    /// Hands a whole small package over and says what only the sealer knows; from here it is dispatched.
    pub async fn send_whole(
        &self,
        grant: &str,
        age_file: Vec<u8>,
        finish: &SealFinish,
    ) -> Result<PackageView, CallFault> {
        let path = format!(
            "/v1/seals/{}/whole?manifest={}&item_root={}&items={}",
            encode(grant),
            finish.manifest,
            finish.item_root,
            finish.items
        );
        self.put_bytes(&path, age_file).await
    }

    /// Waits until all of these packages are settled, or for `seconds` (at most 60).
    pub async fn wait_packages(&self, wait: &WaitMany) -> Result<Vec<Waited>, CallFault> {
        self.post("/v1/packages/wait", wait).await
    }

    /// Says what only the sealer knows; from here the package is dispatched.
    pub async fn finish_seal(
        &self,
        grant: &str,
        finish: &SealFinish,
    ) -> Result<PackageView, CallFault> {
        self.post(&format!("/v1/seals/{}/finish", encode(grant)), finish)
            .await
    }

    /// Gives a grant back.
    pub async fn cancel_seal(&self, grant: &str) -> Result<(), CallFault> {
        let path = format!("/v1/seals/{}", encode(grant));
        self.delete::<serde_json::Value>(&path).await.map(drop)
    }

    /// The packages.
    pub async fn packages(&self, filter: PackageFilter<'_>) -> Result<Vec<PackageView>, CallFault> {
        let mut path = String::from("/v1/packages");
        let mut mark = '?';
        for (key, value) in [("direction", filter.direction), ("state", filter.state)] {
            if let Some(value) = value {
                path = format!("{path}{mark}{key}={}", encode(value));
                mark = '&';
            }
        }
        self.list(&path).await
    }

    /// One package.
    pub async fn package(&self, id: &str) -> Result<PackageDetail, CallFault> {
        self.get(&format!("/v1/packages/{}", encode(id))).await
    }

    /// One package once its state is final, delivered or held, or after `seconds` (at most 60).
    pub async fn wait_package(&self, id: &str, seconds: u64) -> Result<PackageView, CallFault> {
        let id = encode(id);
        self.get(&format!("/v1/packages/{id}/wait?seconds={seconds}"))
            .await
    }

    /// Reads and hashes everything of a package again.
    pub async fn verify_package(&self, id: &str) -> Result<Verification, CallFault> {
        self.post(&format!("/v1/packages/{}/verify", encode(id)), &Nothing {})
            .await
    }

    /// Asks for leave to read a package.
    pub async fn open_package(&self, id: &str, open: &OpenRequest) -> Result<Opening, CallFault> {
        self.post(&format!("/v1/packages/{}/openings", encode(id)), open)
            .await
    }

    /// Lists the requests that need two persons.
    pub async fn approvals(&self) -> Result<Vec<ApprovalView>, CallFault> {
        self.list("/v1/approvals").await
    }

    /// One of these requests.
    pub async fn approval(&self, id: &str) -> Result<ApprovalView, CallFault> {
        self.get(&format!("/v1/approvals/{}", encode(id))).await
    }

    /// Decides on it: `approve` or `reject`.
    pub async fn decide(&self, id: &str, how: &str) -> Result<ApprovalView, CallFault> {
        self.post(&format!("/v1/approvals/{}/{how}", encode(id)), &Nothing {})
            .await
    }

    /// Lists the packages that may no longer be kept here.
    pub async fn due(&self) -> Result<Vec<DueView>, CallFault> {
        self.get("/v1/retention/due").await
    }

    /// Destroys a package, or says what that would be answered.
    pub async fn destroy(
        &self,
        id: &str,
        request: &DestroyRequest,
    ) -> Result<Destruction, CallFault> {
        self.post(&format!("/v1/packages/{}/destroy", encode(id)), request)
            .await
    }

    /// Keeps a package from being destroyed.
    pub async fn hold(&self, id: &str, request: &HoldRequest) -> Result<HoldView, CallFault> {
        self.post(&format!("/v1/packages/{}/hold", encode(id)), request)
            .await
    }

    /// Records that a package was found to be still needed.
    pub async fn review(&self, id: &str, request: &ReviewRequest) -> Result<ReviewView, CallFault> {
        self.post(&format!("/v1/packages/{}/review", encode(id)), request)
            .await
    }

    /// Ends a hold.
    pub async fn release(&self, id: &str) -> Result<HoldView, CallFault> {
        self.post(&format!("/v1/packages/{}/release", encode(id)), &Nothing {})
            .await
    }

    /// Asks the sender of a package for its consent.
    pub async fn ask(&self, id: &str, wish: &AskConsent) -> Result<ConsentView, CallFault> {
        self.post(&format!("/v1/packages/{}/ask", encode(id)), wish)
            .await
    }

    /// Wishes for consent, and their answers.
    pub async fn consents(&self) -> Result<Vec<ConsentView>, CallFault> {
        self.list("/v1/consents").await
    }

    /// One wish for consent.
    pub async fn consent(&self, id: &str) -> Result<ConsentView, CallFault> {
        self.get(&format!("/v1/consents/{}", encode(id))).await
    }

    /// Gives a consent.
    pub async fn grant_consent(
        &self,
        id: &str,
        grant: &GrantConsent,
    ) -> Result<ConsentView, CallFault> {
        self.post(&format!("/v1/consents/{}/grant", encode(id)), grant)
            .await
    }

    /// Refuses a consent.
    pub async fn refuse_consent(
        &self,
        id: &str,
        refuse: &RefuseConsent,
    ) -> Result<ConsentView, CallFault> {
        self.post(&format!("/v1/consents/{}/refuse", encode(id)), refuse)
            .await
    }

    /// Reports to the sender what was done with a package.
    pub async fn report(&self, id: &str) -> Result<UseReport, CallFault> {
        self.post(&format!("/v1/packages/{}/report", encode(id)), &Nothing {})
            .await
    }

    /// Passes a package on to a third authority.
    pub async fn forward(&self, id: &str, request: &Forward) -> Result<PackageView, CallFault> {
        self.post(&format!("/v1/packages/{}/forward", encode(id)), request)
            .await
    }

    /// Lists the packages that were passed on, newest first.
    pub async fn passed_on(&self) -> Result<Vec<OnwardView>, CallFault> {
        self.list("/v1/onward").await
    }

    /// Binds a package by stricter terms, or takes it back.
    pub async fn restrict(&self, id: &str, request: &Restrict) -> Result<PackageView, CallFault> {
        self.post(&format!("/v1/packages/{}/terms", encode(id)), request)
            .await
    }

    /// The cases of packages that came, with their teams.
    pub async fn cases(&self) -> Result<Vec<CaseView>, CallFault> {
        self.list("/v1/cases").await
    }

    /// Gives the case of this package to a team.
    pub async fn assign_team(&self, id: &str, team: &AssignTeam) -> Result<CaseView, CallFault> {
        self.post(&format!("/v1/packages/{}/team", encode(id)), team)
            .await
    }

    /// A policy that is or was in force; without a digest, the one that is.
    pub async fn policy(&self, digest: Option<&str>) -> Result<PolicyView, CallFault> {
        match digest {
            Some(digest) => self.get(&format!("/v1/policy/{}", encode(digest))).await,
            None => self.get("/v1/policy").await,
        }
    }

    /// Asks that the configured policy comes into force.
    pub async fn adopt_policy(&self) -> Result<WaitingPolicy, CallFault> {
        self.post("/v1/policy", &Nothing {}).await
    }

    /// Tells how an opening would be answered, and why.
    pub async fn explain(
        &self,
        id: &str,
        purpose: Purpose,
        related: bool,
        role: Option<Role>,
    ) -> Result<Explanation, CallFault> {
        let id = encode(id);
        let role = role.map(|role| format!("&as={role}")).unwrap_or_default();
        let question = format!("use={purpose}&related={related}{role}");
        self.get(&format!("/v1/packages/{id}/decision?{question}"))
            .await
    }

    /// The whole plaintext of an opening.
    pub async fn plaintext(&self, opening: &str) -> Result<Download, CallFault> {
        self.download(&format!("/v1/openings/{}/plaintext", encode(opening)))
            .await
    }

    /// Reports that what an opening gave is not what was signed; the daemon looks for itself.
    pub async fn report_mismatch(
        &self,
        opening: &str,
        code: &str,
    ) -> Result<Examination, CallFault> {
        let mismatch = Mismatch {
            code: code.to_owned(),
        };
        let path = format!("/v1/openings/{}/mismatch", encode(opening));
        self.post(&path, &mismatch).await
    }

    /// Ends an opening; answers what has left under it.
    pub async fn close_opening(&self, opening: &str) -> Result<Closed, CallFault> {
        self.delete(&format!("/v1/openings/{}", encode(opening)))
            .await
    }

    /// The age file of a package that was received, under the permit of an opening.
    pub async fn exported(&self, opening: &str) -> Result<Download, CallFault> {
        self.download(&format!("/v1/openings/{}/age", encode(opening)))
            .await
    }

    /// The age file of a package that was sent from here.
    pub async fn age_file(&self, id: &str) -> Result<Download, CallFault> {
        self.download(&format!("/v1/packages/{}/age", encode(id)))
            .await
    }

    /// The files of a receipt export.
    pub async fn bundle(&self, id: &str) -> Result<BundleFiles, CallFault> {
        let path = format!("/v1/packages/{}/bundle", encode(id));
        let download = self.download(&path).await?;
        Ok(BundleFiles::new(path, download))
    }

    /// Transfers under way or waiting.
    pub async fn transfers(&self) -> Result<Vec<TransferView>, CallFault> {
        self.list("/v1/transfers").await
    }

    /// One transfer.
    pub async fn transfer(&self, id: &str) -> Result<TransferView, CallFault> {
        self.get(&format!("/v1/transfers/{}", encode(id))).await
    }

    /// All receipts of one package, oldest first, or of all, newest first.
    pub async fn receipts(&self, package: Option<&str>) -> Result<Vec<ReceiptView>, CallFault> {
        let query = package.map(|id| format!("?package={}", encode(id)));
        self.list(&format!("/v1/receipts{}", query.unwrap_or_default()))
            .await
    }

    /// One receipt by its number in this ledger.
    pub async fn receipt(&self, seq: i64) -> Result<ReceiptDetail, CallFault> {
        self.get(&format!("/v1/receipts/{seq}")).await
    }

    /// The log.
    pub async fn log(&self) -> Result<LogStatus, CallFault> {
        self.get("/v1/log").await
    }

    /// Signs the committed head; the checkpoint, a signed note.
    pub async fn checkpoint(&self) -> Result<String, CallFault> {
        let made: Checkpoint = self.post("/v1/log/checkpoint", &Nothing {}).await?;
        Ok(made.note)
    }

    /// The proofs of one receipt, by its digest, or of a package's.
    pub async fn proofs(&self, name: &str) -> Result<Vec<ProofView>, CallFault> {
        self.list(&format!("/v1/log/proofs/{}", encode(name))).await
    }

    /// The trust anchors: own keys and the peers'.
    pub async fn anchors(&self) -> Result<Vec<AnchorView>, CallFault> {
        self.get("/v1/log/keys").await
    }
}
