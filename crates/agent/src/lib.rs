//! The app's resident process: notifications, tray, keyring, browser, window socket. No GTK.
