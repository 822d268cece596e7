"""reid-audit: can the people in anonymised pictures still be identified?"""
