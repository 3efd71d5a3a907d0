// The page is there. (No frame is drawn in a window that is hidden, so none can be waited for.)
window.__TAURI__.core.invoke("drew");
