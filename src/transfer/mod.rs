//! The exchange of one package as two machines without input or output: Sender and Receiver.
