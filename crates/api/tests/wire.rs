//! The wire as it is: fixtures that a change of the types must not alter unnoticed.

use countersign_api::http::{RequestState, VoteRequest};
use countersign_api::ipc::{Call, Choice, Question};
use countersign_api::stream::{ClientFrame, ServerBody, ServerFrame};
use serde_json::json;

#[test]
fn stream_frames_have_v_seq_type_data() {
    let frame = ServerFrame {
        v: 1,
        seq: 7,
        body: ServerBody::RequestClosed {
            txn: "t1".into(),
            state: RequestState::Denied,
            by: Some("Elin Varga".into()),
        },
    };
    let wire = json!({
        "v": 1, "seq": 7, "type": "request.closed",
        "data": { "txn": "t1", "state": "denied", "by": "Elin Varga" }
    });
    assert_eq!(serde_json::to_value(&frame).expect("serialise"), wire);
    assert_eq!(
        serde_json::from_value::<ServerFrame>(wire).expect("parse"),
        frame
    );

    let ping = json!({ "v": 1, "seq": 0, "type": "ping", "data": {} });
    assert_eq!(
        serde_json::from_value::<ServerFrame>(ping)
            .expect("parse")
            .body,
        ServerBody::Ping {}
    );
}

#[test]
fn a_frame_with_an_unknown_type_is_refused() {
    for wire in [
        json!({ "type": "vote", "data": { "txn": "t1" } }),
        json!({ "type": "resume", "data": { "seq": 1, "also": 2 } }),
    ] {
        assert!(
            serde_json::from_value::<ClientFrame>(wire.clone()).is_err(),
            "{wire}"
        );
    }
}

#[test]
fn the_window_sends_ids_and_choices_and_nothing_else() {
    let vote = Question {
        v: 1,
        id: 3,
        call: Call::Vote {
            txn: "t1".into(),
            choice: Choice::Approve,
            reason: None,
            words: None,
            display_digest: "d".into(),
        },
    };
    let wire = json!({
        "v": 1, "id": 3,
        "call": { "call": "vote", "txn": "t1", "choice": "approve", "reason": null, "words": null, "display_digest": "d" }
    });
    assert_eq!(serde_json::to_value(&vote).expect("serialise"), wire);

    let mut with_bytes = wire;
    with_bytes["call"]["operation_b64"] = json!("e30");
    assert!(serde_json::from_value::<Question>(with_bytes).is_err());
}

#[test]
fn a_vote_with_an_unknown_member_is_refused() {
    let wire = json!({ "vote": "a.b.c", "approve": true });
    assert!(serde_json::from_value::<VoteRequest>(wire).is_err());
}
