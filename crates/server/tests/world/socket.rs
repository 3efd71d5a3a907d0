//! A device's stream, over a real WebSocket.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::World;
use super::device::Device;

pub(crate) const PATH: &str = "/approver/v1/stream";

pub(crate) struct Stream(pub(crate) WebSocketStream<TcpStream>);

impl Stream {
    pub(crate) async fn try_open(
        world: &World,
        device: &Device,
        headers: &[(&'static str, &str)],
    ) -> Result<Stream, u16> {
        let mut request = world
            .url(PATH)
            .replace("http://", "ws://")
            .into_client_request()
            .unwrap();
        let proof = device.dpop(world, "GET", PATH, Some(&device.access_token));
        let token = format!("DPoP {}", device.access_token);
        let own = [
            ("authorization", token.as_str()),
            ("dpop", &proof),
            ("sec-websocket-protocol", "countersign.v1"),
        ];
        for (name, value) in own.iter().chain(headers) {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let tcp = TcpStream::connect(world.id.as_str().strip_prefix("http://").unwrap())
            .await
            .unwrap();
        match tokio_tungstenite::client_async(request, tcp).await {
            Ok((socket, answer)) => {
                assert_eq!(answer.headers()["sec-websocket-protocol"], "countersign.v1");
                Ok(Stream(socket))
            }
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Opens, and reads `hello`; gives its number too.
    pub(crate) async fn open(world: &World, device: &Device) -> (Stream, u64) {
        let mut stream = Stream::try_open(world, device, &[]).await.unwrap();
        let hello = stream.next().await;
        assert_eq!(
            (&hello["v"], &hello["type"], &hello["data"]["time"]),
            (&json!(1), &json!("hello"), &json!(world.now().0))
        );
        (stream, hello["data"]["seq"].as_u64().unwrap())
    }

    /// The next frame, save those that only say that the server is there: they come by the clock on the wall.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            match self.0.next().await.unwrap().unwrap() {
                Message::Text(text) => {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    if frame["type"] != "ping" {
                        return frame;
                    }
                }
                Message::Ping(_) | Message::Pong(_) => {}
                other @ (Message::Binary(_) | Message::Close(_) | Message::Frame(_)) => {
                    panic!("{other:?}")
                }
            }
        }
    }

    pub(crate) async fn next_is(&mut self, kind: &str, data: Value) -> u64 {
        let frame = self.next().await;
        assert_eq!((&frame["type"], &frame["data"]), (&json!(kind), &data));
        frame["seq"].as_u64().unwrap()
    }

    pub(crate) async fn send(&mut self, kind: &str, data: Value) {
        let frame = json!({"type": kind, "data": data}).to_string();
        self.0.send(Message::text(frame)).await.unwrap();
    }

    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}
