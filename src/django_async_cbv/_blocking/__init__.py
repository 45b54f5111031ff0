"""How the detector of what blocks the event loop works."""
